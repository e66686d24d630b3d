#include "truffula/text/tools.hpp"

#include "text/parse_json.hpp"
#include "truffula/text/json_schema.hpp"
#include "truffula/text/tool_reply.hpp"

#include <algorithm>
#include <utility>

namespace truffula::text {
namespace {

using json = nlohmann::ordered_json;

struct tool {
    std::string name;
    std::string description;
    json parameters;
};

error wrong(const std::string& path, const std::string& words) {
    return {errc::tool_error, "`" + path + "`: " + words};
}

bool is_name(std::string_view name) {
    const auto good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-' || c == '.';
    };
    return !name.empty() && name.size() <= tool_set::max_name &&
           std::all_of(name.begin(), name.end(), good);
}

result<json> read_parameters(const json& function, const std::string& path) {
    const auto found = function.find("parameters");
    if (found == function.end() || found->is_null()) return json::object();
    if (!found->is_object()) return wrong(path, "must be a JSON schema of an object");
    if (auto good = check_schema(found->dump(), path); !good) {
        return error{errc::tool_error, good.error().detail};
    }
    if (const auto type = found->find("type"); type != found->end() && *type != "object") {
        return wrong(path + ".type", "must be \"object\"");
    }
    return *found;
}

result<tool> read_tool(const json& sent, const std::string& path) {
    if (!sent.is_object()) return wrong(path, "must be an object");
    if (sent.value("type", json("function")) != "function") {
        return wrong(path + ".type", "must be \"function\"");
    }
    const auto function = sent.find("function");
    const auto inside = path + ".function";
    if (function == sent.end() || !function->is_object()) {
        return wrong(inside, "must be an object with a `name`");
    }
    tool read;
    if (const auto name = function->find("name"); name != function->end() && name->is_string()) {
        read.name = name->get<std::string>();
    }
    if (!is_name(read.name)) {
        return wrong(
            inside + ".name",
            "must be 1 to 64 of the characters a-z, A-Z, 0-9, underscore, dot and hyphen");
    }
    if (read.name == no_tool) return wrong(inside + ".name", "`no_tool` has a meaning of its own");
    if (const auto text = function->find("description");
        text != function->end() && !text->is_null()) {
        if (!text->is_string()) return wrong(inside + ".description", "must be a string");
        read.description = text->get<std::string>();
    }
    auto parameters = read_parameters(*function, inside + ".parameters");
    if (!parameters) return parameters.error();
    read.parameters = std::move(*parameters);
    return read;
}

result<std::vector<tool>> read_tools(const json& sent) {
    if (!sent.is_array()) return wrong("tools", "must be a list");
    if (sent.size() > tool_set::max_tools) {
        return wrong(
            "tools",
            "at most " + std::to_string(tool_set::max_tools) +
                " are allowed. Given: " + std::to_string(sent.size()));
    }
    std::vector<tool> tools;
    for (std::size_t i = 0; i < sent.size(); ++i) {
        const auto path = "tools[" + std::to_string(i) + "]";
        auto read = read_tool(sent[i], path);
        if (!read) return read.error();
        const auto same = [&](const tool& t) { return t.name == read->name; };
        if (std::any_of(tools.begin(), tools.end(), same)) {
            return wrong(path + ".function.name", "there are two tools named " + read->name);
        }
        tools.push_back(std::move(*read));
    }
    return tools;
}

tool answer_in_words() {
    tool t;
    t.name = no_tool;
    t.description = "An answer in words, when no tool is of use";
    t.parameters = {
        {"properties", {{"content", {{"type", "string"}, {"description", "The answer"}}}}},
        {"required", json::array({"content"})}};
    return t;
}

// Parameters become part of a larger document: what they refer to moves, and so do references.
void move_references(json& node, const std::string& definitions, const std::string& rest) {
    for (auto& [key, value] : node.items()) {
        if (value.is_structured()) move_references(value, definitions, rest);
        if (key != "$ref" || !value.is_string()) continue;
        const auto target = value.get<std::string>();
        if (!target.starts_with('#')) continue;  // part of a default or the like
        const auto cut = target.find('/', 2);
        const auto head = target.substr(0, cut);
        if (cut != std::string::npos && (head == "#/$defs" || head == "#/definitions")) {
            value = definitions + target.substr(cut + 1);
        } else {
            value = rest + target.substr(1);
        }
    }
}

json function_schema(const tool& t, json& definitions) {
    auto parameters = t.parameters;
    const auto prefix = t.name + "-";
    move_references(parameters, "#/$defs/" + prefix, "#/$functions/" + t.name);
    for (const auto* key : {"$defs", "definitions"}) {
        if (const auto found = parameters.find(key); found != parameters.end()) {
            for (const auto& [name, value] : found->items()) definitions[prefix + name] = value;
        }
    }
    json properties{{"_name", {{"type", "string"}, {"const", t.name}}}};
    json required = json::array({"_name"});
    if (const auto own = parameters.find("properties"); own != parameters.end()) {
        for (const auto& [name, value] : own->items()) {
            if (name != "_name") properties[name] = value;
        }
    }
    if (const auto own = parameters.find("required"); own != parameters.end()) {
        for (const auto& name : *own) required.push_back(name);
    }
    const auto more = parameters.find("additionalProperties");
    return {
        {"description", t.description},
        {"additionalProperties", more != parameters.end() && *more == true},
        {"properties", std::move(properties)},
        {"required", std::move(required)}};
}

std::string schema_of(const std::vector<tool>& tools) {
    json functions = json::object();
    json definitions = json::object();
    json any = json::array();
    for (const auto& t : tools) {
        functions[t.name] = function_schema(t, definitions);
        any.push_back({{"$ref", "#/$functions/" + t.name}});
    }
    json schema{{"$functions", std::move(functions)}};
    if (!definitions.empty()) schema["$defs"] = std::move(definitions);
    schema["properties"] = {{"function", {{"anyOf", std::move(any)}}}};
    schema["required"] = json::array({"function"});
    return schema.dump();
}

constexpr std::string_view how_to_call =
    "Reply with one JSON object and nothing else, of the form "
    R"({"function": {"_name": "<name of the tool>", "<parameter>": <value>, …}}. )"
    "Give the parameters that the tool describes.";

constexpr std::string_view how_to_answer =
    R"( If no tool helps, use the tool "no_tool": its "content" is your answer in words.)";

}  // namespace

result<tool_set> tool_set::read(std::string_view sent, const tool_choice& choice) {
    using kind = tool_choice::kind;
    const auto document = parse_json(sent, "tools");
    if (!document) return error{errc::tool_error, document.error().detail};
    auto tools = read_tools(*document);
    if (!tools) return tools.error();
    tool_set set;
    set.json_ = document->dump();
    if (choice.what == kind::named) {
        const auto is_other = [&](const tool& t) { return t.name != choice.name; };
        std::erase_if(*tools, is_other);
        if (tools->empty()) {
            return error{errc::tool_error, "Tool with name " + choice.name + " not found"};
        }
    }
    if (choice.what == kind::required && tools->empty()) {
        return wrong("tool_choice", "a call is required, but there are no tools");
    }
    if (choice.what == kind::none || tools->empty()) return set;
    if (choice.what == kind::automatic) tools->push_back(answer_in_words());
    for (const auto& t : *tools) set.names_.push_back(t.name);
    set.schema_ = schema_of(*tools);
    return set;
}

std::string tool_set::prompt(
    bool template_shows_tools, const std::optional<std::string>& words) const {
    std::string text = "\n---\n";
    if (!template_shows_tools) (text += json_) += '\n';
    if (words) return text += *words;
    text += how_to_call;
    const bool may_answer = std::find(names_.begin(), names_.end(), no_tool) != names_.end();
    if (may_answer) text += how_to_answer;
    return text;
}

result<std::string> append_tool_prompt(
    std::string_view messages, std::string_view prompt, bool plain_text) {
    auto list = parse_json(messages, "messages");
    if (!list) return list.error();
    if (!list->is_array() || list->empty() || !list->back().is_object()) {
        return error{errc::validation, "`messages` must be a list of objects, and not empty"};
    }
    auto& content = list->back()["content"];
    if (content.is_array()) {
        content.push_back({{"type", "text"}, {"text", prompt}});
    } else if (content.is_null()) {
        content = prompt;
    } else if (plain_text && content.is_string()) {
        content.get_ref<std::string&>() += prompt;
    }
    return list->dump();
}

}  // namespace truffula::text
