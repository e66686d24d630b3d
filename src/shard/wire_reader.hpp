#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace truffula::shard {

/// Walks the fields of one protobuf message without building it. Every length is checked: bytes
/// come from another process.
///
///     wire_reader fields{message};
///     while (fields.next()) { … fields.number() … }
///     if (fields.is_malformed()) …
///
/// It runs in the gap between an answer and the next step, several times for every sequence:
/// therefore it is in the header, and a field is not returned but stays in the reader.
class wire_reader {
public:
    enum class type : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

    explicit wire_reader(std::string_view message)
        : at_(message.data()), end_(message.data() + message.size()) {}

    /// Goes to the next field. False at the end, or when the bytes are malformed.
    bool next();
    bool is_malformed() const { return is_malformed_; }

    std::uint32_t number() const { return number_; }
    type kind() const { return kind_; }
    std::uint64_t value() const { return value_; }     ///< `varint` only.
    std::string_view bytes() const { return bytes_; }  ///< `bytes` only: points into the message.

    /// Reads the message as varints side by side, as packed lists are.
    bool next_varint() { return at_ != end_ && take_varint(value_); }

private:
    static constexpr std::uint32_t largest_field_number = (1U << 29U) - 1;

    bool malformed() {
        is_malformed_ = true;
        at_ = end_;
        return false;
    }
    std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
    bool take_varint(std::uint64_t& to);
    bool take_long_varint(std::uint64_t& to);

    const char* at_;
    const char* end_;
    std::uint64_t value_ = 0;
    std::string_view bytes_;
    std::uint32_t number_ = 0;
    type kind_ = type::varint;
    bool is_malformed_ = false;
};

[[gnu::always_inline]] inline bool wire_reader::take_varint(std::uint64_t& to) {
    if (at_ == end_ || (static_cast<unsigned char>(*at_) & 0x80U) != 0) return take_long_varint(to);
    to = static_cast<unsigned char>(*at_++);
    return true;
}

[[gnu::always_inline]] inline bool wire_reader::next() {
    if (at_ == end_) return false;
    std::uint64_t tag = 0;
    if (!take_varint(tag)) return false;
    if (tag > UINT32_MAX) return malformed();
    number_ = static_cast<std::uint32_t>(tag >> 3U);
    kind_ = static_cast<type>(tag & 7U);
    if (number_ == 0 || number_ > largest_field_number) return malformed();
    std::size_t size = 0;
    switch (kind_) {
        case type::varint: return take_varint(value_);
        case type::bytes: {
            std::uint64_t length = 0;
            if (!take_varint(length)) return false;
            if (length > left()) return malformed();
            size = static_cast<std::size_t>(length);
            bytes_ = {at_, size};
            break;
        }
        case type::fixed64: size = 8; break;
        case type::fixed32: size = 4; break;
        default: return malformed();  // groups: no message of the protocol has them
    }
    if (size > left()) return malformed();
    at_ += size;
    return true;
}

}  // namespace truffula::shard
