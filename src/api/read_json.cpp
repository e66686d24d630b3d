#include "truffula/api/read_json.hpp"

#include "api/json_reader.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

namespace truffula::api {
namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

bool is_token_char(unsigned char c) {
    constexpr std::string_view marks = "!#$&-^_.+*'%`|~";
    return std::isalnum(c) != 0 || marks.find(static_cast<char>(c)) != marks.npos;
}

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == text.npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

std::optional<rejection> read_json(
    std::string_view body, const object_schema& schema, void* target) {
    if (body.starts_with(byte_order_mark)) {  // nlohmann would skip it
        return rejection{
            400,
            "Failed to parse the request body as JSON: it begins with a byte order mark",
            {},
            "it begins with a byte order mark"};
    }
    json_reader reader{schema, target};
    constexpr bool to_the_end = false;
    nlohmann::json::sax_parse(
        body.begin(), body.end(), &reader, nlohmann::json::input_format_t::json, to_the_end);
    return reader.failure();
}

rejection wrong_field(std::string path, std::string reason) {
    std::string text = "Failed to deserialize the JSON body into the target type: ";
    if (!path.empty()) (text += path) += ": ";
    text += reason;
    return {422, std::move(text), std::move(path), std::move(reason)};
}

bool is_json_content_type(std::string_view value) noexcept {
    constexpr std::string_view type = "application/";
    const auto mime = trimmed(value.substr(0, value.find(';')));
    const auto same = [](unsigned char wanted, unsigned char found) {
        return wanted == std::tolower(found);
    };
    if (mime.size() <= type.size()) return false;
    if (!std::equal(type.begin(), type.end(), mime.begin(), same)) return false;
    const auto sub = mime.substr(type.size());
    if (!std::all_of(sub.begin(), sub.end(), is_token_char)) return false;
    const auto ends = [&](std::string_view tail) {
        return sub.size() >= tail.size() &&
               std::equal(tail.begin(), tail.end(), sub.end() - std::ptrdiff_t(tail.size()), same);
    };
    return (sub.size() == 4 && ends("json")) || ends("+json");
}

rejection wrong_content_type() {
    constexpr auto reason = "Expected request with `Content-Type: application/json`";
    return {415, reason, {}, reason};
}

}  // namespace truffula::api
