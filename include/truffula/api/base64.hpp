#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace truffula::api {

// RFC 4648, with padding. Own code because what Debian has (Abseil, OpenSSL, libb64) takes blanks,
// missing padding and stray bits that a strict reader has to refuse.

/// Appends `bytes` in base64.
void append_base64(std::string& out, std::string_view bytes);

/// Appends the numbers as little-endian 32-bit floats in base64.
void append_base64(std::string& out, std::span<const float> numbers);

/// The bytes; nothing for what is not canonical base64 with padding.
std::optional<std::string> read_base64(std::string_view text);

}  // namespace truffula::api
