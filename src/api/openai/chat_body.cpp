#include "api/openai/common_fields.hpp"

namespace truffula::api::openai {
namespace {

using body = chat_body;
using lorax = lorax_chat_body;

constexpr std::string_view messages_shape =
    R"({"type":"array","minItems":1,"items":{"type":"object","required":["role"],"properties":{)"
    R"("role":{"type":"string","enum":["system","developer","user","assistant","tool"]},)"
    R"("content":{"oneOf":[{"type":"string"},{"type":"null"},{"type":"array","items":{"oneOf":[)"
    R"({"type":"object","required":["type","text"],"properties":{"type":{"const":"text"},)"
    R"("text":{"type":"string"}}},)"
    R"({"type":"object","required":["type","image_url"],"properties":{"type":)"
    R"({"const":"image_url"},"image_url":{"type":"object","required":["url"],"properties":)"
    R"({"url":{"type":"string"}}}}},)"
    R"({"type":"object","required":["type","refusal"],"properties":{"type":{"const":"refusal"},)"
    R"("refusal":{"type":"string"}}}]}}]},)"
    R"("name":{"type":"string"},"tool_call_id":{"type":"string"},)"
    R"("tool_calls":{"type":"array","items":{"type":"object","required":["function"],)"
    R"("properties":{"id":{"type":"string"},"type":{"const":"function"},"function":)"
    R"({"type":"object","required":["name"],"properties":{"name":{"type":"string"},)"
    R"("arguments":{"type":"string"}}}}}}},)"
    R"("anyOf":[{"required":["content"],"properties":{"role":{"enum":["system","developer",)"
    R"("user"]},"content":{"type":["string","array"]},"tool_calls":false}},)"
    R"({"properties":{"role":{"const":"assistant"}}},)"
    R"({"required":["content","tool_call_id"],"properties":{"role":{"const":"tool"},)"
    R"("content":{"type":["string","array"]},"tool_calls":false}}]}})";
constexpr std::string_view lorax_messages_shape =
    R"({"type":"array","items":{"type":"object","required":["role"],"properties":{)"
    R"("role":{"type":"string"},"content":{"oneOf":[{"type":"string"},{"type":"null"},)"
    R"({"type":"array","items":{"oneOf":[{"type":"object","required":["type","text"],)"
    R"("properties":{"type":{"const":"text"},"text":{"type":"string"}}},)"
    R"({"type":"object","required":["type","image_url"],"properties":{"type":)"
    R"({"const":"image_url"},"image_url":{"type":"object","required":["url"],"properties":)"
    R"({"url":{"type":"string"}}}}}]}}]},"name":{"type":"string"}}}})";
constexpr std::string_view tools_shape =
    R"({"type":"array","items":{"type":"object","required":["type","function"],"properties":{)"
    R"("type":{"type":"string","enum":["function"]},"function":{"type":"object",)"
    R"("required":["name"],"properties":{"name":{"type":"string"},"description":)"
    R"({"type":"string"},"parameters":{"type":"object"}}}}}})";
constexpr std::string_view choice_shape =
    R"({"oneOf":[{"type":"string","enum":["none","auto","required"]},{"type":"object"}]})";
constexpr std::string_view list_shape = R"({"type":"array","items":{"type":"object"}})";

constexpr auto chat_fields = with_common_fields<body>(std::array{
    required_field<&body::messages>("messages", "The conversation", messages_shape),
    optional_field<&body::max_completion_tokens>(
        "max_completion_tokens", "Most tokens of the answer, instead of max_tokens"),
    optional_field<&body::logprobs>("logprobs", "Give the tokens' log-probabilities"),
    optional_field<&body::top_logprobs>(
        "top_logprobs", "From 0 to 20, with logprobs: so many other tokens at each place"),
    optional_field<&body::tools>("tools", "Functions that the model may call", tools_shape),
    optional_field<&body::tool_choice>(
        "tool_choice", "none, auto, required, or one function", choice_shape),
    optional_field<&body::parallel_tool_calls>(
        "parallel_tool_calls", "Accepted: an answer has one tool call at most"),
    optional_field<&body::functions>("functions", "Not supported: use tools", list_shape),
    optional_field<&body::function_call>("function_call", "Not supported: use tool_choice"),
    optional_field<&body::audio>("audio", "Not supported: answers are text", object_shape),
    optional_field<&body::tool_prompt>("tool_prompt", "Said to the model about the tools"),
    optional_field<&body::guideline>("guideline", "For templates that have a guideline"),
    optional_field<&body::documents>("documents", "For templates that take some", list_shape),
    optional_field<&body::add_generation_prompt>(
        "add_generation_prompt", "Begin the assistant's answer; default true"),
    optional_field<&body::continue_final_message>(
        "continue_final_message", "The answer goes on with the last message"),
    optional_field<&body::chat_template_kwargs>(
        "chat_template_kwargs", "More variables for the template", object_shape),
    optional_field<&body::chat_template>("chat_template", "Name of one of the model's templates"),
});

constexpr std::array lorax_fields{
    required_field<&lorax::model>("model", "The base model's name, or an adapter's"),
    required_field<&lorax::messages>("messages", "The conversation", lorax_messages_shape),
    optional_field<&lorax::temperature>("temperature", "0: the most likely tokens are taken"),
    optional_field<&lorax::top_p>("top_p", "Sample from the likeliest tokens of this mass"),
    optional_field<&lorax::n>("n", "Answers to make"),
    optional_field<&lorax::max_tokens>("max_tokens", "Most tokens of the answer"),
    optional_field<&lorax::stop>("stop", "Texts that end the answer"),
    optional_field<&lorax::stream>("stream", "Answer as server-sent events"),
    optional_field<&lorax::presence_penalty>("presence_penalty", "From -2 to 2"),
    optional_field<&lorax::frequency_penalty>("frequency_penalty", "From -2 to 2"),
    optional_field<&lorax::seed>("seed", "Makes sampling repeatable"),
    optional_field<&lorax::response_format>(
        "response_format", "text, json_object or json_schema", object_shape),
    optional_field<&lorax::tools>("tools", "Functions that the model may call", tools_shape),
    optional_field<&lorax::tool_choice>("tool_choice", "none, auto or a function's name"),
    optional_field<&lorax::repetition_penalty>("repetition_penalty", "Above 0; 1: none"),
    optional_field<&lorax::top_k>("top_k", "Sample from so many of the likeliest tokens"),
    optional_field<&lorax::ignore_eos_token>("ignore_eos_token", "Go on after an end token"),
    optional_field<&lorax::adapter_source>("adapter_source", "hub, s3, local or pbase"),
    optional_field<&lorax::api_token>("api_token", "Token for the adapter's source"),
    optional_field<&lorax::tool_prompt>("tool_prompt", "Said to the model about the tools"),
    optional_field<&lorax::guideline>("guideline", "For templates that have a guideline"),
};

}  // namespace

const object_schema& chat_body::schema() {
    static constexpr object_schema instance{"ChatCompletionRequest", chat_fields};
    return instance;
}

const object_schema& lorax_chat_body::schema() {
    static constexpr object_schema instance{"LoraxChatCompletionRequest", lorax_fields};
    return instance;
}

}  // namespace truffula::api::openai
