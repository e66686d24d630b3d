#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace truffula::api {

/// Appends `text` as a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD.
void append_string(std::string& out, std::string_view text);

/// Characters of a text in UTF-8.
std::size_t characters(std::string_view text) noexcept;

/// Appends the shortest decimal that gives the same 32-bit float again: `1.0`, `-0.34`, with an
/// exponent from 1e13 up and below 1e-6; `null` for what is not finite.
void append_float(std::string& out, float value);

/// Appends the numbers as a list.
void append_floats(std::string& out, std::span<const float> values);

/// Appends a decimal number.
void append_number(std::string& out, std::uint64_t value);

inline void append_bool(std::string& out, bool value) {
    out += value ? "true" : "false";
}

}  // namespace truffula::api
