#include "api/openai/plan_parts.hpp"
#include "truffula/api/openai/messages.hpp"

#include <nlohmann/json.hpp>

#include <utility>

namespace truffula::api::openai {
namespace {

using json = nlohmann::ordered_json;

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
    if (is_given(body.audio)) return unsupported("audio", "leave it out; answers in words are");
    if (body.max_completion_tokens) {
        body.max_tokens = body.max_completion_tokens;
        plan.length_name = "max_completion_tokens";
    }
    if (auto f = plan_text(body, base_model, plan)) return f;
    if (auto f = plan_logprobs(body, plan)) return f;
    if (auto f = plan_template(body, chat)) return f;
    if (auto f = plan_tools(body, plan, chat)) return f;
    return read_messages(body.messages, chat.messages, chat.image_at);
}

}  // namespace truffula::api::openai
