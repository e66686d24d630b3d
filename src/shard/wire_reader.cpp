#include "shard/wire_reader.hpp"

namespace truffula::shard {
namespace {

constexpr std::uint32_t largest_field_number = (1U << 29U) - 1;

}  // namespace

std::optional<std::uint64_t> wire_reader::take_varint(std::string_view& from) {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < 10 && i < from.size(); ++i) {
        const auto byte = static_cast<unsigned char>(from[i]);
        if (i == 9 && byte > 1) return std::nullopt;  // more than 64 bits
        value |= std::uint64_t{byte & 0x7FU} << (7U * i);
        if ((byte & 0x80U) == 0) {
            from.remove_prefix(i + 1);
            return value;
        }
    }
    return std::nullopt;
}

std::optional<wire_reader::field> wire_reader::next() {
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
