#include "truffula/api/base64.hpp"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace truffula::api {
namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t no_digit = 64;

constexpr auto digits = [] {
    std::array<std::uint8_t, 256> table{};
    for (auto& d : table) d = no_digit;
    for (std::size_t i = 0; i < alphabet.size(); ++i) {
        table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
    }
    return table;
}();

std::uint32_t byte(std::string_view bytes, std::size_t at) {
    return at < bytes.size() ? static_cast<unsigned char>(bytes[at]) : 0U;
}

}  // namespace

void append_base64(std::string& out, std::string_view bytes) {
    out.reserve(out.size() + (bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const auto group = byte(bytes, i) << 16U | byte(bytes, i + 1) << 8U | byte(bytes, i + 2);
        out += alphabet[group >> 18U];
        out += alphabet[group >> 12U & 63U];
        out += i + 1 < bytes.size() ? alphabet[group >> 6U & 63U] : '=';
        out += i + 2 < bytes.size() ? alphabet[group & 63U] : '=';
    }
}

void append_base64(std::string& out, std::span<const float> numbers) {
    static_assert(std::endian::native == std::endian::little && sizeof(float) == 4);
    std::string bytes(numbers.size_bytes(), '\0');
    if (!numbers.empty()) std::memcpy(bytes.data(), numbers.data(), numbers.size_bytes());
    append_base64(out, std::string_view{bytes});
}

std::optional<std::string> read_base64(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    std::size_t padding = 0;
    if (text.ends_with('=')) padding = text.ends_with("==") ? 2 : 1;
    const auto length = text.size() - padding;
    std::string out;
    out.reserve(text.size() / 4 * 3);
    std::uint32_t group = 0;
    unsigned bits = 0;
    for (std::size_t i = 0; i < length; ++i) {
        const auto digit = digits[static_cast<unsigned char>(text[i])];
        if (digit == no_digit) return std::nullopt;
        group = group << 6U | digit;
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        out += static_cast<char>(group >> bits & 255U);
    }
    // Bits that no byte takes have to be zero, else two texts would mean the same bytes.
    if ((group & ((1U << bits) - 1U)) != 0) return std::nullopt;
    return out;
}

}  // namespace truffula::api
