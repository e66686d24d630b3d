#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace truffula::shard {

/// Walks the fields of one protobuf message without building it. Every length is checked: bytes
/// come from another process.
class wire_reader {
public:
    enum class type : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

    struct field {
        std::uint32_t number = 0;
        type kind = type::varint;
        std::uint64_t value = 0;  ///< `varint` only.
        std::string_view bytes;   ///< `bytes` only: points into the message.
    };

    explicit wire_reader(std::string_view message) : rest_(message) {}

    /// The next field; nothing at the end, or when the bytes are malformed (`is_malformed`).
    std::optional<field> next();
    bool is_malformed() const { return is_malformed_; }

    /// Reads one varint off the front.
    static std::optional<std::uint64_t> take_varint(std::string_view& from) {
        if (from.empty() || (static_cast<unsigned char>(from.front()) & 0x80U) != 0) {
            return take_long_varint(from);
        }
        const auto value = static_cast<unsigned char>(from.front());
        from.remove_prefix(1);
        return value;
    }

private:
    static constexpr std::uint32_t largest_field_number = (1U << 29U) - 1;

    static std::optional<std::uint64_t> take_long_varint(std::string_view& from);
    std::optional<field> malformed() {
        is_malformed_ = true;
        return std::nullopt;
    }

    std::string_view rest_;
    bool is_malformed_ = false;
};

// In the header, for it runs in the gap between an answer and the next step, for every field.
inline std::optional<wire_reader::field> wire_reader::next() {
    if (rest_.empty() || is_malformed_) return std::nullopt;
    const auto tag = take_varint(rest_);
    if (!tag || *tag > UINT32_MAX) return malformed();
    field f;
    f.number = static_cast<std::uint32_t>(*tag >> 3U);
    f.kind = static_cast<type>(*tag & 7U);
    if (f.number == 0 || f.number > largest_field_number) return malformed();
    std::size_t size = 0;
    switch (f.kind) {
        case type::varint: {
            const auto value = take_varint(rest_);
            if (!value) return malformed();
            f.value = *value;
            return f;
        }
        case type::bytes: {
            const auto length = take_varint(rest_);
            if (!length || *length > rest_.size()) return malformed();
            size = static_cast<std::size_t>(*length);
            f.bytes = rest_.substr(0, size);
            break;
        }
        case type::fixed64: size = 8; break;
        case type::fixed32: size = 4; break;
        default: return malformed();  // groups: no message of the protocol has them
    }
    if (size > rest_.size()) return malformed();
    rest_.remove_prefix(size);
    return f;
}

}  // namespace truffula::shard
