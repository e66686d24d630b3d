#include "truffula/api/openapi.hpp"

#include "api/answer_schemas.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <limits>
#include <sstream>
#include <utility>

namespace truffula::api {
namespace {

using json = nlohmann::ordered_json;

json reference(std::string_view name) {
    return {{"$ref", "#/components/schemas/" + std::string{name}}};
}

template <class T>
json integer() {
    return {
        {"type", "integer"},
        {"minimum", std::numeric_limits<T>::min()},
        {"maximum", std::numeric_limits<T>::max()}};
}

/// Schemas of requests, collected from the tables that bodies are read by.
class request_schemas {
public:
    explicit request_schemas(json& all) : all_(all) {}

    json add(const object_schema& schema) {
        const std::string name{schema.name};
        if (!all_.contains(name)) {
            all_[name] = json{};  // it may refer to itself
            auto made = object_of(schema);
            all_[name] = std::move(made);
        }
        return reference(name);
    }

private:
    json object_of(const object_schema& schema) {
        json properties = json::object();
        auto required = json::array();
        for (const auto& f : schema.fields) {
            auto one = value_of(f);
            if (f.must == presence::optional) one = nullable(std::move(one));
            one["description"] = f.about;
            properties[std::string{f.name}] = std::move(one);
            if (f.must == presence::required) required.push_back(f.name);
        }
        json made{{"type", "object"}};
        if (!required.empty()) made["required"] = std::move(required);
        made["properties"] = std::move(properties);
        return made;
    }

    static json nullable(json value) {
        if (value.empty()) return value;
        if (const auto type = value.find("type"); type != value.end() && type->is_string()) {
            *type = json::array({*type, "null"});
            return value;
        }
        auto either = json::array();
        either.push_back(std::move(value));
        either.push_back({{"type", "null"}});
        return {{"anyOf", std::move(either)}};
    }

    json value_of(const field& f) {
        if (!f.shape.empty()) return json::parse(f.shape);
        switch (f.kind) {
            case json_kind::boolean: return {{"type", "boolean"}};
            case json_kind::u32: return integer<std::uint32_t>();
            case json_kind::i32: return integer<std::int32_t>();
            case json_kind::u64: return integer<std::uint64_t>();
            case json_kind::i64: return integer<std::int64_t>();
            case json_kind::f32: return {{"type", "number"}};
            case json_kind::text: return text_of(f);
            case json_kind::text_list: return list_of("string");
            case json_kind::f32_list: return list_of("number");
            case json_kind::object: return add(f.object());
            case json_kind::any:
            case json_kind::text_or_any: break;
        }
        return json::object();
    }

    static json text_of(const field& f) {
        json made{{"type", "string"}};
        if (!f.choices.empty()) made["enum"] = f.choices;
        return made;
    }

    static json list_of(const char* type) {
        return {{"type", "array"}, {"items", {{"type", type}}}};
    }

    json& all_;
};

json content(std::string_view type, json schema) {
    return {{std::string{type}, {{"schema", std::move(schema)}}}};
}

json success_of(const operation& op) {
    json made{{"description", "Success"}};
    if (op.answer.empty()) return made;
    auto schema = reference(op.answer);
    if (op.is_list) schema = {{"type", "array"}, {"items", std::move(schema)}};
    const bool is_stream = op.answer_type == "text/event-stream";
    made["content"] = content(op.answer_type, is_stream ? reference("Event") : std::move(schema));
    if (op.may_stream) made["content"].update(content("text/event-stream", reference("Event")));
    return made;
}

json failure_of(const operation& op, const std::string& status) {
    json made{{"description", "Refused or failed"}};
    if (op.errors == error_shape::openai) {
        made["content"] = content("application/json", reference("OpenAIError"));
        return made;
    }
    // Bodies that cannot be read are answered by a plain text.
    const bool is_text = status == "400" || status == "413" || status == "415";
    made["content"] = json::object();
    if (!is_text) made["content"] = content("application/json", reference("ErrorResponse"));
    if (is_text || status == "422")
        made["content"].update(content("text/plain", reference("Text")));
    return made;
}

json describe(const operation& op, request_schemas& schemas) {
    json made{{"tags", {op.tag}}, {"summary", op.summary}};
    if (const auto open = op.path.find('{'); open != op.path.npos) {
        const auto name = op.path.substr(open + 1, op.path.find('}') - open - 1);
        made["parameters"] = json::array(
            {{{"name", name},
              {"in", "path"},
              {"required", true},
              {"schema", {{"type", "string"}}}}});
    }
    if (op.body != nullptr) {
        made["requestBody"] = {
            {"required", true}, {"content", content("application/json", schemas.add(op.body()))}};
    }
    json answers{{"200", success_of(op)}};
    std::istringstream statuses{std::string{op.statuses}};
    for (std::string status; statuses >> status;) answers[status] = failure_of(op, status);
    made["responses"] = std::move(answers);
    return made;
}

}  // namespace

std::string openapi_document(compat of, std::string_view version) {
    auto schemas = json::parse(answer_schemas);
    request_schemas requests{schemas};
    json paths = json::object();
    for (const auto& op : operations(of)) {
        paths[std::string{op.path}][std::string{op.method}] = describe(op, requests);
    }
    const json document{
        {"openapi", "3.1.0"},
        {"info",
         {{"title", "Truffula"},
          {"description", "A router for language models with many LoRA adapters"},
          {"version", version}}},
        {"paths", std::move(paths)},
        {"components", {{"schemas", std::move(schemas)}}}};
    return document.dump();
}

}  // namespace truffula::api
