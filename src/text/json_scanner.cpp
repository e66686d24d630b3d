#include "truffula/text/json_scanner.hpp"

#include <string_view>

namespace truffula::text {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

std::size_t skip_digits(std::string_view text, std::size_t at) {
    while (at < text.size() && is_digit(text[at])) ++at;
    return at;
}

bool is_number(std::string_view text) {
    std::size_t at = text.starts_with('-') ? 1 : 0;
    if (at < text.size() && text[at] == '0') {
        ++at;
    } else {
        const auto digits = skip_digits(text, at);
        if (digits == at) return false;
        at = digits;
    }
    if (at < text.size() && text[at] == '.') {
        const auto digits = skip_digits(text, at + 1);
        if (digits == at + 1) return false;
        at = digits;
    }
    if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
        ++at;
        if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
        const auto digits = skip_digits(text, at);
        if (digits == at) return false;
        at = digits;
    }
    return at == text.size();
}

bool is_scalar_char(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' || c == 'E';
}

}  // namespace

std::optional<json_char> json_scanner::feed(char c) {
    if (in_string_) return string_char(c);
    if (!scalar_.empty()) {
        if (is_scalar_char(c)) {
            if (scalar_.size() == max_scalar) return refuse();
            scalar_ += c;
            return json_char::in_scalar;
        }
        if (!end_scalar()) return refuse();
    }
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
        return expect_ == expect::nothing ? refuse() : json_char::space;
    }
    return structural(c);
}

std::optional<json_char> json_scanner::refuse() {
    expect_ = expect::nothing;
    in_string_ = false;
    scalar_.clear();
    return std::nullopt;
}

std::optional<json_char> json_scanner::string_char(char c) {
    const auto inside = is_key_ ? json_char::in_key : json_char::in_string;
    if (hex_digits_ > 0) {
        if (!is_hex(c)) return refuse();
        --hex_digits_;
        return inside;
    }
    if (escaped_) {
        escaped_ = false;
        if (std::string_view{"\"\\/bfnrtu"}.find(c) == std::string_view::npos) return refuse();
        if (c == 'u') hex_digits_ = 4;
        return inside;
    }
    if (static_cast<unsigned char>(c) < 0x20) return refuse();
    if (c == '\\') escaped_ = true;
    if (c != '"') return inside;
    in_string_ = false;
    if (is_key_) {
        expect_ = expect::colon;
        return json_char::key_quote;
    }
    value_ended();
    return json_char::string_quote;
}

std::optional<json_char> json_scanner::structural(char c) {
    const bool wants_value = expect_ == expect::value || expect_ == expect::value_or_close;
    const bool wants_key = expect_ == expect::key || expect_ == expect::key_or_close;
    switch (c) {
        case '{':
        case '[': return wants_value ? open(c) : refuse();
        case '}':
        case ']': return close(c);
        case ':':
            if (expect_ != expect::colon) return refuse();
            expect_ = expect::value;
            return json_char::colon;
        case ',':
            if (expect_ != expect::comma_or_close) return refuse();
            expect_ = stack_.back() == '{' ? expect::key : expect::value;
            return json_char::comma;
        case '"':
            if (!wants_value && !wants_key) return refuse();
            in_string_ = true;
            is_key_ = wants_key;
            return is_key_ ? json_char::key_quote : json_char::string_quote;
        default:
            if (!wants_value || !is_scalar_char(c)) return refuse();
            scalar_ = c;
            return json_char::in_scalar;
    }
}

std::optional<json_char> json_scanner::open(char c) {
    if (stack_.size() == max_depth) return refuse();
    stack_.push_back(c);
    expect_ = c == '{' ? expect::key_or_close : expect::value_or_close;
    return json_char::open;
}

std::optional<json_char> json_scanner::close(char c) {
    const auto empty = c == '}' ? expect::key_or_close : expect::value_or_close;
    if (expect_ != expect::comma_or_close && expect_ != empty) return refuse();
    if (stack_.empty() || stack_.back() != (c == '}' ? '{' : '[')) return refuse();
    stack_.pop_back();
    value_ended();
    return json_char::close;
}

void json_scanner::value_ended() {
    expect_ = stack_.empty() ? expect::end : expect::comma_or_close;
}

bool json_scanner::end_scalar() {
    const bool good =
        scalar_ == "true" || scalar_ == "false" || scalar_ == "null" || is_number(scalar_);
    scalar_.clear();
    value_ended();
    return good;
}

}  // namespace truffula::text
