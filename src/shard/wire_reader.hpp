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
    static std::optional<std::uint64_t> take_varint(std::string_view& from);

private:
    std::optional<field> malformed() {
        is_malformed_ = true;
        return std::nullopt;
    }

    std::string_view rest_;
    bool is_malformed_ = false;
};

}  // namespace truffula::shard
