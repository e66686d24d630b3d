#include "truffula/api/json_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>

namespace truffula::api {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";

// 1 for bytes that stand for themselves in a JSON string.
constexpr auto plain = [] {
    std::array<bool, 256> table{};
    for (std::size_t c = 0x20; c < 0x80; ++c) table[c] = c != '"' && c != '\\';
    return table;
}();

void append_escape(std::string& out, unsigned char c) {
    constexpr std::string_view hex = "0123456789abcdef";
    switch (c) {
        case '"': out += "\\\""; return;
        case '\\': out += "\\\\"; return;
        case '\b': out += "\\b"; return;
        case '\f': out += "\\f"; return;
        case '\n': out += "\\n"; return;
        case '\r': out += "\\r"; return;
        case '\t': out += "\\t"; return;
        default: break;
    }
    out += "\\u00";
    out += hex[c >> 4U];
    out += hex[c & 0xFU];
}

struct range {
    unsigned char low;
    unsigned char high;
};

// What may follow a lead byte: shorter forms, surrogates and what is beyond U+10FFFF are not UTF-8.
range second_byte(unsigned char lead) {
    switch (lead) {
        case 0xE0: return {0xA0, 0xBF};
        case 0xED: return {0x80, 0x9F};
        case 0xF0: return {0x90, 0xBF};
        case 0xF4: return {0x80, 0x8F};
        default: return {0x80, 0xBF};
    }
}

std::size_t sequence_length(unsigned char lead) {
    if (lead >= 0xC2 && lead <= 0xDF) return 2;
    if (lead >= 0xE0 && lead <= 0xEF) return 3;
    if (lead >= 0xF0 && lead <= 0xF4) return 4;
    return 0;
}

// Bytes of the longest prefix of a character at `at`; `whole` says that it is one.
std::size_t match(std::string_view text, std::size_t at, bool& whole) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const auto want = sequence_length(lead);
    whole = false;
    if (want == 0) return 1;
    auto allowed = second_byte(lead);
    std::size_t have = 1;
    while (have < want && at + have < text.size()) {
        const auto c = static_cast<unsigned char>(text[at + have]);
        if (c < allowed.low || c > allowed.high) return have;
        allowed = {0x80, 0xBF};
        ++have;
    }
    whole = have == want;
    return have;
}

}  // namespace

void append_string(std::string& out, std::string_view text) {
    out += '"';
    std::size_t done = 0;  // everything before it is in `out`
    std::size_t at = 0;
    while (at < text.size()) {
        const auto c = static_cast<unsigned char>(text[at]);
        if (plain[c]) {
            ++at;
            continue;
        }
        bool whole = false;
        const auto length = c < 0x80 ? 1 : match(text, at, whole);
        if (!whole) {
            out += text.substr(done, at - done);
            done = at + length;
            if (c < 0x80) {
                append_escape(out, c);
            } else {
                out += replacement;
            }
        }
        at += length;
    }
    out += text.substr(done);
    out += '"';
}

std::size_t characters(std::string_view text) noexcept {
    // Every byte but continuations begins one.
    const auto begins = [](unsigned char c) { return (c & 0xC0U) != 0x80; };
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins));
}

void append_number(std::string& out, std::uint64_t value) {
    std::array<char, 20> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    out.append(digits.data(), end);
}

void append_float(std::string& out, float value) {
    if (!std::isfinite(value)) {
        out += "null";
        return;
    }
    if (std::signbit(value)) out += '-';
    if (value == 0.0F) {
        out += "0.0";
        return;
    }
    std::array<char, 32> text;  // d.ddde±xx, the shortest that reads back
    const auto end =
        std::to_chars(
            text.data(), text.data() + text.size(), std::fabs(value), std::chars_format::scientific)
            .ptr;
    std::array<char, 16> digits;
    std::size_t count = 0;
    const char* at = text.data();
    for (; *at != 'e'; ++at) {
        if (*at != '.') digits[count++] = *at;
    }
    int exponent = 0;
    std::from_chars(at + (at[1] == '+' ? 2 : 1), end, exponent);
    const std::string_view all{digits.data(), count};
    const int point = exponent + 1;  // digits before the decimal point
    const int length = static_cast<int>(count);
    if (point > 13 || point <= -6) {
        out += all[0];
        if (length > 1) (out += '.') += all.substr(1);
        out += 'e';
        if (exponent < 0) out += '-';
        append_number(out, static_cast<std::uint64_t>(std::abs(exponent)));
    } else if (point >= length) {
        out += all;
        out.append(static_cast<std::size_t>(point - length), '0');
        out += ".0";
    } else if (point > 0) {
        out += all.substr(0, static_cast<std::size_t>(point));
        out += '.';
        out += all.substr(static_cast<std::size_t>(point));
    } else {
        out += "0.";
        out.append(static_cast<std::size_t>(-point), '0');
        out += all;
    }
}

void append_floats(std::string& out, std::span<const float> values) {
    out += '[';
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (i > 0) out += ',';
        append_float(out, values[i]);
    }
    out += ']';
}

}  // namespace truffula::api
