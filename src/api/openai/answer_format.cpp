#include "api/openai/plan_parts.hpp"
#include "truffula/text/json_schema.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <utility>

// What an answer has to look like: OpenAI's `response_format`, and vLLM's fields.
namespace truffula::api::openai {
namespace {

using json = nlohmann::ordered_json;
using format = std::optional<response_format_body>;

struct inner_json {
    raw_json value;
};

/// JSON within a text, bounded as the body is; nothing if it is none.
std::optional<raw_json> read_inner(std::string_view text) {
    static constexpr std::array fields{required_field<&inner_json::value>("value", "")};
    static constexpr object_schema schema{"", fields};
    inner_json inner;
    std::string around = "{\"value\":";
    (around += text) += '}';
    if (read_json(around, schema, &inner)) return std::nullopt;
    return std::move(inner.value);
}

/// A JSON schema, or its text.
refused read_guided(const text_or_json& given, const std::string& name, format& to) {
    auto schema = given.is_text ? read_inner(given.text) : raw_json{given.text};
    if (!schema) return invalid_field(name, "`" + name + "` must be a JSON schema");
    const auto checked = text::check_schema(schema->text, name);
    if (!checked) return describe_fault(checked.error());
    to = response_format_body{"json_schema", {*checked}, true};
    return std::nullopt;
}

/// `structured_outputs`: the later name of `guided_json` and its like.
refused read_structured(const raw_json& given, format& to) {
    const std::string name = "structured_outputs";
    const auto asked = json::parse(given.text);
    if (!asked.is_object()) return invalid_field(name, "`" + name + "` must be an object");
    for (const auto* kind : {"regex", "choice", "grammar", "structural_tag"}) {
        if (asked.contains(kind) && !asked[kind].is_null()) {
            return unsupported(name + '.' + kind, "leave it out; `json` and `json_object` are");
        }
    }
    const auto schema = asked.contains("json") ? asked["json"] : json{};
    if (!schema.is_null()) {
        const bool is_text = schema.is_string();
        const auto text = is_text ? schema.get<std::string>() : schema.dump();
        return read_guided({is_text, text}, name + ".json", to);
    }
    if (asked.contains("json_object") && asked["json_object"] == true) {
        to = response_format_body{"json_object"};
    }
    return std::nullopt;
}

}  // namespace

std::optional<fault> read_response_format(
    const raw_json& format, std::optional<response_format_body>& to) {
    if (format.is_null()) return std::nullopt;
    const auto given = json::parse(format.text);
    if (!given.is_object()) {
        return invalid_field("response_format", "`response_format` must be an object");
    }
    const auto type = given.contains("type") ? given["type"] : json{};
    if (type == "text") return std::nullopt;
    if (type != "json_object" && type != "json_schema") {
        return invalid_field(
            "response_format.type",
            "`response_format.type` must be one of text, json_object, json_schema");
    }
    to = response_format_body{type.get<std::string>()};
    std::string where = "response_format";
    auto around = given;
    if (type == "json_schema") {
        where += ".json_schema";
        around = given.contains("json_schema") ? given["json_schema"] : json{};
        if (!around.is_object()) {
            return invalid_field(where, "`" + where + "` must be an object with a `schema`");
        }
        if (!around.contains("name") || !around["name"].is_string()) {
            return invalid_field(where + ".name", "`" + where + ".name` must be a string");
        }
    }
    if (!around.contains("schema") || around["schema"].is_null()) return std::nullopt;
    const auto schema = text::check_schema(around["schema"].dump(), where + ".schema");
    if (!schema) return describe_fault(schema.error());
    to->answer_schema.text = *schema;
    to->is_checked = true;
    return std::nullopt;
}

std::optional<fault> plan_format(const text_body& body, format& to) {
    const auto second = [](const std::string& name) {
        return invalid_field(
            name, "`" + name + "` cannot be combined with another constraint of the answer");
    };
    if (body.response_format) {
        if (auto f = read_response_format(*body.response_format, to)) return f;
    }
    if (body.guided_json) {
        if (to) return second("guided_json");
        if (auto f = read_guided(*body.guided_json, "guided_json", to)) return f;
    }
    if (!is_given(body.structured_outputs)) return std::nullopt;
    format structured;
    if (auto f = read_structured(*body.structured_outputs, structured)) return f;
    if (structured && to) return second("structured_outputs");
    if (structured) to = std::move(structured);
    return std::nullopt;
}

}  // namespace truffula::api::openai
