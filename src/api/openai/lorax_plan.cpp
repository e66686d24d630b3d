#include "api/openai/plan_parts.hpp"
#include "truffula/api/openai/messages.hpp"
#include "truffula/api/read_json.hpp"

#include <nlohmann/json.hpp>

#include <utility>

namespace truffula::api::openai {
namespace {

using json = nlohmann::ordered_json;

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
    return wrong_field("tool_choice", R"(expected a string or {"Function":{"name":…}})");
}

// What is no list of tools is a body that cannot be read. What a tool may be is another matter.
std::optional<rejection> check_lorax_tools(const raw_json& given) {
    const auto tools = json::parse(given.text);
    if (!tools.is_array()) return wrong_field("tools", "expected an array of tools");
    for (std::size_t i = 0; i < tools.size(); ++i) {
        const auto where = "tools[" + std::to_string(i) + "]";
        const auto& tool = tools[i];
        if (!tool.is_object()) return wrong_field(where, "expected an object");
        if (!tool.contains("type") || !tool["type"].is_string()) {
            return wrong_field(where + ".type", "expected a string");
        }
        const auto function = tool.find("function");
        if (function == tool.end() || !function->is_object()) {
            return wrong_field(where + ".function", "expected an object");
        }
        if (!function->contains("name") || !(*function)["name"].is_string()) {
            return wrong_field(where + ".function.name", "expected a string");
        }
    }
    return std::nullopt;
}

// Types have two names there, and a schema may be left out altogether. A wrong format is a field
// that cannot be read.
std::optional<rejection> plan_lorax_format(
    const std::optional<raw_json>& given, std::optional<response_format_body>& to) {
    if (!is_given(given)) return std::nullopt;
    auto format = json::parse(given->text);
    if (format.is_object() && format.contains("type")) {
        auto& type = format["type"];
        if (type == "Text") type = "text";
        if (type == "JsonObject") type = "json_object";
        if (type == "JsonSchema") type = "json_schema";
        const bool has_schema = format.contains("json_schema") && !format["json_schema"].is_null();
        if (type == "json_schema" && !has_schema) {
            to = response_format_body{"json_schema"};
            return std::nullopt;
        }
    }
    const auto f = read_response_format({format.dump()}, to);
    if (f) return wrong_field(f->param, f->message);
    return std::nullopt;
}

// A LoRAX router loses the words about tools where the last message is a plain text.
bool ends_in_plain_text(const raw_json& given) {
    const auto messages = json::parse(given.text);
    if (!messages.is_array() || messages.empty() || !messages.back().is_object()) return false;
    const auto content = messages.back().find("content");
    return content != messages.back().end() && content->is_string();
}

/// What both bodies have, but for the sampling that each reads in its own way.
template <class Body>
void plan_lorax_fields(Body& body, std::string_view base_model, text_plan& plan) {
    auto& p = plan.parameters;
    p.adapter_id = adapter_of(body.model, base_model);
    p.adapter_source = std::move(body.adapter_source);
    p.api_token = std::move(body.api_token);
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
}

}  // namespace

text_plan plan_lorax_completion(lorax_completion_body&& body, std::string_view base_model) {
    text_plan plan;
    plan_lorax_fields(body, base_model, plan);
    auto& p = plan.parameters;
    if (body.best_of) p.best_of = static_cast<std::uint64_t>(std::int64_t{*body.best_of});
    p.temperature = body.temperature;
    p.do_sample = body.n.has_value();
    p.decoder_input_details = body.logprobs.has_value();
    plan.echo = body.echo.value_or(false);
    plan.prompts.push_back({std::move(body.prompt), std::nullopt});
    return plan;
}

std::optional<rejection> plan_lorax_chat(
    lorax_chat_body&& body, std::string_view base_model, text_plan& plan, chat_plan& chat) {
    plan_lorax_fields(body, base_model, plan);
    auto& p = plan.parameters;
    const auto n = std::int64_t{body.n.value_or(1)};
    if (body.n) p.best_of = static_cast<std::uint64_t>(n);
    plan.n = p.sequences();
    const bool is_greedy = body.temperature == 0.0F;
    p.do_sample = !is_greedy;
    if (!is_greedy) p.temperature = body.temperature;
    chat.guideline = std::move(body.guideline);
    chat.tool_prompt = std::move(body.tool_prompt);
    if (is_given(body.tools)) {
        if (auto r = check_lorax_tools(*body.tools)) return r;
        chat.tools = std::move(body.tools->text);
        chat.hears_of_tools = !ends_in_plain_text(body.messages);
    }
    if (body.tool_choice) {
        if (auto r = read_lorax_choice(*body.tool_choice, chat.choice)) return r;
    }
    if (auto r = plan_lorax_format(body.response_format, p.response_format)) return r;
    return read_lorax_messages(body.messages, chat.messages);
}

}  // namespace truffula::api::openai
