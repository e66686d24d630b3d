#include "truffula/text/json_text_decoder.hpp"

#include <utility>

namespace truffula::text {
namespace {

// For half a surrogate pair.
constexpr std::uint32_t replacement = 0xFFFD;

void append_utf8(std::string& out, std::uint32_t code) {
    const auto byte = [&](std::uint32_t value) { out += static_cast<char>(value); };
    if (code < 0x80) {
        byte(code);
    } else if (code < 0x800) {
        byte(0xC0 | code >> 6);
        byte(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        byte(0xE0 | code >> 12);
        byte(0x80 | (code >> 6 & 0x3F));
        byte(0x80 | (code & 0x3F));
    } else {
        byte(0xF0 | code >> 18);
        byte(0x80 | (code >> 12 & 0x3F));
        byte(0x80 | (code >> 6 & 0x3F));
        byte(0x80 | (code & 0x3F));
    }
}

char unescaped(char c) {
    switch (c) {
        case 'b': return '\b';
        case 'f': return '\f';
        case 'n': return '\n';
        case 'r': return '\r';
        case 't': return '\t';
        default: return c;
    }
}

}  // namespace

void json_text_decoder::feed(char c, std::string& out) {
    if (escape_.empty() && c != '\\') {
        end(out);
        out += c;
        return;
    }
    escape_ += c;
    if (escape_.size() < 2 || (escape_[1] == 'u' && escape_.size() < 6)) return;
    if (escape_[1] == 'u') {
        take_unit(static_cast<std::uint32_t>(std::stoul(escape_.substr(2), nullptr, 16)), out);
    } else {
        end(out);
        out += unescaped(escape_[1]);
    }
    escape_.clear();
}

// A UTF-16 unit, perhaps half of a pair.
void json_text_decoder::take_unit(std::uint32_t unit, std::string& out) {
    const bool is_low = unit >= 0xDC00 && unit < 0xE000;
    if (is_low && high_ != 0) {
        const auto high = std::exchange(high_, 0);
        append_utf8(out, 0x10000 + ((high - 0xD800) << 10) + (unit - 0xDC00));
        return;
    }
    end(out);
    if (unit >= 0xD800 && unit < 0xDC00) {
        high_ = unit;
    } else {
        append_utf8(out, is_low ? replacement : unit);
    }
}

void json_text_decoder::end(std::string& out) {
    if (std::exchange(high_, 0) != 0) append_utf8(out, replacement);
}

}  // namespace truffula::text
