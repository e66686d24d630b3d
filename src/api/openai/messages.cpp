#include "truffula/api/openai/messages.hpp"

#include "truffula/api/read_json.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace truffula::api::openai {
namespace {

using json = nlohmann::ordered_json;
using refused = std::optional<fault>;

constexpr std::array<std::string_view, 5> roles{"system", "developer", "user", "assistant", "tool"};

refused wrong(const std::string& where, const std::string& wanted) {
    return invalid_field(where, "`" + where + "` must be " + wanted);
}

bool has_text(const json& object, const char* key) {
    const auto at = object.find(key);
    return at != object.end() && at->is_string();
}

std::string indexed(const std::string& where, std::size_t i) {
    return where + "[" + std::to_string(i) + "]";
}

// A URL may have parentheses; the one behind it ends it.
std::string enclosed(std::string url) {
    for (auto at = url.find(')'); at != url.npos; at = url.find(')', at)) url.replace(at, 1, "%29");
    return url;
}

/// What a content says.
struct content_text {
    std::string text;
    std::string image_at;  ///< Of the first image; empty: there is none.
};

// Appends what a part of a content says.
refused read_part(const json& part, const std::string& where, content_text& to) {
    if (!part.is_object()) return wrong(where, "an object with a `type`");
    const auto type = has_text(part, "type") ? part["type"].get<std::string>() : std::string{};
    if (type == "text" || type == "refusal") {
        if (!has_text(part, type.c_str())) return wrong(where + "." + type, "a string");
        to.text += part[type].get_ref<const std::string&>();
        return std::nullopt;
    }
    if (type == "image_url") {
        const auto at = part.find("image_url");
        const bool is_whole = at != part.end() && at->is_object() && has_text(*at, "url");
        if (!is_whole) return wrong(where + ".image_url.url", "a string");
        to.text += "![](" + enclosed((*at)["url"].get<std::string>()) + ")";
        if (to.image_at.empty()) to.image_at = where;
        return std::nullopt;
    }
    return wrong(where + ".type", "one of text, image_url, refusal");
}

refused read_content(const json& content, const std::string& where, content_text& to) {
    if (content.is_string()) {
        to.text = content.get<std::string>();
        return std::nullopt;
    }
    if (!content.is_array()) return wrong(where, "a string or a list of parts");
    for (std::size_t i = 0; i < content.size(); ++i) {
        if (auto f = read_part(content[i], indexed(where, i), to)) return f;
    }
    return std::nullopt;
}

// Arguments stay the text that clients got: the template's renderer reads them.
refused read_tool_calls(const json& calls, const std::string& where) {
    if (!calls.is_array()) return wrong(where, "a list of tool calls");
    for (std::size_t i = 0; i < calls.size(); ++i) {
        const auto here = indexed(where, i) + ".function";
        const auto& call = calls[i];
        const bool has_function = call.is_object() && call.contains("function");
        if (!has_function || !call["function"].is_object()) return wrong(here, "an object");
        const auto& function = call["function"];
        if (!has_text(function, "name")) return wrong(here + ".name", "a string");
        const auto arguments = function.find("arguments");
        const bool is_good = arguments == function.end() || arguments->is_null() ||
                             arguments->is_string() || arguments->is_object();
        if (!is_good) return wrong(here + ".arguments", "a string that is the JSON of an object");
    }
    return std::nullopt;
}

refused check_keys(json& message, const std::string& role, const std::string& where) {
    if (message.contains("name") && !message["name"].is_null() && !has_text(message, "name")) {
        return wrong(where + ".name", "a string");
    }
    if (role == "tool" && !has_text(message, "tool_call_id")) {
        return wrong(where + ".tool_call_id", "a string: the id of the call that is answered");
    }
    const auto calls = message.find("tool_calls");
    if (calls == message.end()) return std::nullopt;
    if (calls->is_null()) {
        message.erase("tool_calls");
        return std::nullopt;
    }
    if (role != "assistant") {
        const auto at = where + ".tool_calls";
        return invalid_field(at, "`" + at + "` is only for the role assistant");
    }
    return read_tool_calls(*calls, where + ".tool_calls");
}

refused read_message(json& message, const std::string& where, std::string& image_at) {
    if (!message.is_object()) return wrong(where, "an object with a `role`");
    const auto role = has_text(message, "role") ? message["role"].get<std::string>() : "";
    if (std::find(roles.begin(), roles.end(), role) == roles.end()) {
        return wrong(where + ".role", "one of system, developer, user, assistant, tool");
    }
    content_text read;
    const auto content = message.find("content");
    if (content != message.end() && !content->is_null()) {
        if (auto f = read_content(*content, where + ".content", read)) return f;
    } else if (role != "assistant") {
        return wrong(where + ".content", "a string or a list of parts");
    }
    if (auto f = check_keys(message, role, where)) return f;
    message["content"] = std::move(read.text);
    if (image_at.empty()) image_at = std::move(read.image_at);
    if (role == "developer") message["role"] = "system";
    return std::nullopt;
}

}  // namespace

std::optional<fault> read_messages(const raw_json& given, std::string& to, std::string& image_at) {
    auto messages = json::parse(given.text);
    if (!messages.is_array() || messages.empty()) {
        return wrong("messages", "a list of at least one message");
    }
    for (std::size_t i = 0; i < messages.size(); ++i) {
        if (auto f = read_message(messages[i], indexed("messages", i), image_at)) return f;
    }
    to = messages.dump();
    return std::nullopt;
}

std::optional<rejection> read_lorax_messages(const raw_json& given, std::string& to) {
    const auto messages = json::parse(given.text);
    if (!messages.is_array()) return wrong_field("messages", "expected an array of objects");
    auto kept = json::array();
    for (std::size_t i = 0; i < messages.size(); ++i) {
        const auto where = indexed("messages", i);
        const auto& message = messages[i];
        if (!message.is_object()) return wrong_field(where, "expected an object");
        if (!has_text(message, "role")) return wrong_field(where + ".role", "expected a string");
        content_text read;
        const auto content = message.find("content");
        if (content != message.end() && !content->is_null()) {
            const auto f = read_content(*content, where + ".content", read);
            if (f) return wrong_field(f->param, f->message);
        }
        json one{{"role", message["role"]}, {"content", std::move(read.text)}};
        if (has_text(message, "name")) one["name"] = message["name"];
        kept.push_back(std::move(one));
    }
    to = kept.dump();
    return std::nullopt;
}

}  // namespace truffula::api::openai
