#include "api/openai/common_fields.hpp"

namespace truffula::api::openai {
namespace {

using body = completion_body;
using lorax = lorax_completion_body;

constexpr std::string_view prompt_shape =
    R"({"oneOf":[{"type":"string"},{"type":"array","items":{"type":"string"}},)"
    R"({"type":"array","items":{"type":"integer"}},)"
    R"({"type":"array","items":{"type":"array","items":{"type":"integer"}}}]})";

constexpr std::array option_fields{
    optional_field<&stream_options_body::include_usage>(
        "include_usage", "End with an event that has the usage"),
    optional_field<&stream_options_body::continuous_usage_stats>(
        "continuous_usage_stats",
        "With include_usage: each event has the usage of its choice so far"),
};

constexpr auto completion_fields = with_common_fields<body>(std::array{
    required_field<&body::prompt>(
        "prompt", "A text, texts, token ids, or lists of token ids", prompt_shape),
    optional_field<&body::suffix>("suffix", "Not supported: only an empty text is accepted"),
    optional_field<&body::logprobs>(
        "logprobs", "From 0 to 5: log-probabilities of the tokens and of so many others"),
    optional_field<&body::echo>("echo", "Give the prompt before the answer"),
    optional_field<&body::best_of>("best_of", "Answers to make, of which the best n are given"),
});

constexpr std::array lorax_fields{
    required_field<&lorax::model>("model", "The base model's name, or an adapter's"),
    required_field<&lorax::prompt>("prompt", "The prompt"),
    optional_field<&lorax::max_tokens>("max_tokens", "Most tokens of the answer"),
    optional_field<&lorax::temperature>("temperature", "Used if n is given"),
    optional_field<&lorax::top_p>("top_p", "Sample from the likeliest tokens of this mass"),
    optional_field<&lorax::n>("n", "If given, tokens are sampled"),
    optional_field<&lorax::stream>("stream", "Answer as server-sent events"),
    optional_field<&lorax::logprobs>("logprobs", "If given, the prompt is scored"),
    optional_field<&lorax::echo>("echo", "Give the prompt before the answer"),
    optional_field<&lorax::stop>("stop", "Texts that end the answer"),
    optional_field<&lorax::presence_penalty>("presence_penalty", "From -2 to 2"),
    optional_field<&lorax::frequency_penalty>("frequency_penalty", "From -2 to 2"),
    optional_field<&lorax::best_of>("best_of", "Answers to make, of which the best is given"),
    optional_field<&lorax::seed>("seed", "Makes sampling repeatable"),
    optional_field<&lorax::repetition_penalty>("repetition_penalty", "Above 0; 1: none"),
    optional_field<&lorax::top_k>("top_k", "Sample from so many of the likeliest tokens"),
    optional_field<&lorax::ignore_eos_token>("ignore_eos_token", "Go on after an end token"),
    optional_field<&lorax::adapter_source>("adapter_source", "hub, s3, local or pbase"),
    optional_field<&lorax::api_token>("api_token", "Token for the adapter's source"),
};

}  // namespace

const object_schema& stream_options_body::schema() {
    static constexpr object_schema instance{"StreamOptions", option_fields};
    return instance;
}

const object_schema& completion_body::schema() {
    static constexpr object_schema instance{"CompletionRequest", completion_fields};
    return instance;
}

const object_schema& lorax_completion_body::schema() {
    static constexpr object_schema instance{"LoraxCompletionRequest", lorax_fields};
    return instance;
}

}  // namespace truffula::api::openai
