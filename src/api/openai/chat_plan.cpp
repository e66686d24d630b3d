#include "truffula/api/openai/messages.hpp"
#include "truffula/api/openai/text_plan.hpp"

#include <nlohmann/json.hpp>

#include <utility>

namespace truffula::api::openai {
namespace {

using json = nlohmann::ordered_json;
using refused = std::optional<fault>;

bool is_given(const std::optional<raw_json>& value) {
    return value && !value->is_null();
}

refused plan_logprobs(const chat_body& body, text_plan& plan) {
    constexpr std::int64_t most = 20;
    const auto others = body.top_logprobs.value_or(0);
    const bool is_asked = body.logprobs.value_or(false);
    if (body.top_logprobs && !is_asked) {
        return invalid_field("top_logprobs", "`top_logprobs` is only allowed with `logprobs` true");
    }
    if (others < 0 || others > most) {
        return invalid_field("top_logprobs", "`top_logprobs` must be from 0 to 20");
    }
    if (!is_asked) return std::nullopt;
    plan.logprobs = static_cast<std::uint32_t>(others);
    plan.parameters.details = true;
    if (others > 0) plan.parameters.return_k_alternatives = static_cast<std::int32_t>(others);
    return std::nullopt;
}

// A list or object for the template.
refused take(
    const std::optional<raw_json>& given,
    const char* name,
    nlohmann::json::value_t wanted,
    std::string& to) {
    if (!is_given(given)) return std::nullopt;
    const auto value = json::parse(given->text);
    const bool is_list = wanted == nlohmann::json::value_t::array;
    if (value.type() != wanted) {
        return invalid_field(
            name, "`" + std::string{name} + "` must be " + (is_list ? "a list" : "an object"));
    }
    if (!value.empty()) to = given->text;
    return std::nullopt;
}

refused plan_template(chat_body& body, chat_plan& chat) {
    using kind = nlohmann::json::value_t;
    chat.guideline = std::move(body.guideline);
    chat.template_name = std::move(body.chat_template).value_or("");
    chat.continue_final_message = body.continue_final_message.value_or(false);
    chat.add_generation_prompt = body.add_generation_prompt.value_or(!chat.continue_final_message);
    if (chat.add_generation_prompt && chat.continue_final_message) {
        return invalid_field(
            "continue_final_message",
            "`continue_final_message` and `add_generation_prompt` are mutually exclusive");
    }
    if (auto f = take(body.documents, "documents", kind::array, chat.documents)) return f;
    return take(body.chat_template_kwargs, "chat_template_kwargs", kind::object, chat.arguments);
}

refused read_choice(const text_or_json& given, text::tool_choice& to) {
    using kind = text::tool_choice::kind;
    constexpr auto wanted =
        R"(`tool_choice` must be none, auto, required or {"type":"function","function":{"name":…}})";
    if (given.is_text) {
        if (given.text == "auto") return std::nullopt;
        if (given.text != "none" && given.text != "required") {
            return invalid_field("tool_choice", wanted);
        }
        to.what = given.text == "none" ? kind::none : kind::required;
        return std::nullopt;
    }
    const auto choice = json::parse(given.text);
    const auto function = choice.is_object() ? choice.find("function") : choice.end();
    const bool is_function = choice.is_object() && choice.value("type", json{}) == "function";
    if (!is_function || function == choice.end() || !function->is_object()) {
        return invalid_field("tool_choice", wanted);
    }
    const auto name = function->find("name");
    if (name == function->end() || !name->is_string()) {
        return invalid_field("tool_choice", wanted);
    }
    to = {kind::named, name->get<std::string>()};
    return std::nullopt;
}

refused plan_tools(chat_body& body, const text_plan& plan, chat_plan& chat) {
    chat.tool_prompt = std::move(body.tool_prompt);
    if (auto f = take(body.tools, "tools", nlohmann::json::value_t::array, chat.tools)) return f;
    if (body.tool_choice) {
        if (auto f = read_choice(*body.tool_choice, chat.choice)) return f;
    }
    using kind = text::tool_choice::kind;
    const bool wants_call = chat.choice.what == kind::required || chat.choice.what == kind::named;
    if (chat.tools.empty() && wants_call) {
        return invalid_field(
            "tool_choice", "`tool_choice` asks for a call, but there are no tools");
    }
    const bool is_constrained = !chat.tools.empty() && chat.choice.what != kind::none;
    if (is_constrained && plan.parameters.response_format) {
        return invalid_field(
            "response_format", "`response_format` and `tools` are mutually exclusive");
    }
    return std::nullopt;
}

// LoRAX knows none, auto, names, and an object of its own; no `required`.
std::optional<rejection> read_lorax_choice(const text_or_json& given, text::tool_choice& to) {
    using kind = text::tool_choice::kind;
    if (given.is_text) {
        if (given.text == "auto") return std::nullopt;
        to = {given.text == "none" ? kind::none : kind::named, given.text};
        return std::nullopt;
    }
    const auto choice = json::parse(given.text);
    if (choice.is_object() && choice.size() == 1 && choice.contains("Function")) {
        const auto& function = choice["Function"];
        if (function.is_object() && function.contains("name") && function["name"].is_string()) {
            to = {kind::named, function["name"].get<std::string>()};
            return std::nullopt;
        }
    }
    return rejection{
        422,
        "Failed to deserialize the JSON body into the target type: tool_choice: expected a string "
        "or {\"Function\":{\"name\":…}}",
        "tool_choice",
        "expected a string or {\"Function\":{\"name\":…}}"};
}

// A wrong format is a field that cannot be read.
std::optional<rejection> plan_lorax_format(
    const std::optional<raw_json>& given, std::optional<response_format_body>& to) {
    if (!is_given(given)) return std::nullopt;
    const auto f = read_response_format(*given, to);
    if (!f) return std::nullopt;
    return rejection{
        422,
        "Failed to deserialize the JSON body into the target type: " + f->param + ": " + f->message,
        f->param,
        f->message};
}

}  // namespace

std::optional<fault> plan_chat(
    chat_body&& body, std::string_view base_model, text_plan& plan, chat_plan& chat) {
    if (is_given(body.functions)) {
        return invalid_field("functions", "`functions` is not supported: use `tools`");
    }
    if (body.function_call) {
        return invalid_field(
            "function_call", "`function_call` is not supported: use `tool_choice`");
    }
    if (body.max_completion_tokens) {
        body.max_tokens = body.max_completion_tokens;
        plan.length_name = "max_completion_tokens";
    }
    if (auto f = plan_text(body, base_model, plan)) return f;
    if (auto f = plan_logprobs(body, plan)) return f;
    if (auto f = plan_template(body, chat)) return f;
    if (auto f = plan_tools(body, plan, chat)) return f;
    return read_messages(body.messages, chat.messages);
}

std::optional<rejection> plan_lorax_chat(
    lorax_chat_body&& body, std::string_view base_model, text_plan& plan, chat_plan& chat) {
    auto& p = plan.parameters;
    p.adapter_id = adapter_of(body.model, base_model);
    p.adapter_source = std::move(body.adapter_source);
    p.api_token = std::move(body.api_token);
    const auto n = std::int64_t{body.n.value_or(1)};
    if (body.n) p.best_of = static_cast<std::uint64_t>(n);
    plan.n = p.sequences();
    const bool is_greedy = body.temperature == 0.0F;
    p.do_sample = !is_greedy;
    if (!is_greedy) p.temperature = body.temperature;
    p.repetition_penalty = body.repetition_penalty;
    p.frequency_penalty = body.frequency_penalty;
    p.presence_penalty = body.presence_penalty;
    p.top_k = body.top_k;
    p.top_p = body.top_p;
    if (body.max_tokens) p.max_new_tokens = static_cast<std::uint32_t>(*body.max_tokens);
    p.ignore_eos_token = body.ignore_eos_token.value_or(false);
    p.stop = std::move(body.stop).value_or(std::vector<std::string>{});
    p.details = true;
    p.seed = body.seed;
    plan.is_streamed = body.stream.value_or(false);
    plan.model = std::move(body.model);
    chat.guideline = std::move(body.guideline);
    chat.tool_prompt = std::move(body.tool_prompt);
    if (is_given(body.tools)) chat.tools = std::move(body.tools->text);
    if (body.tool_choice) {
        if (auto r = read_lorax_choice(*body.tool_choice, chat.choice)) return r;
    }
    if (auto r = plan_lorax_format(body.response_format, p.response_format)) return r;
    return read_lorax_messages(body.messages, chat.messages);
}

}  // namespace truffula::api::openai
