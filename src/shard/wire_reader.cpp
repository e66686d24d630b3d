#include "shard/wire_reader.hpp"

namespace truffula::shard {

std::optional<std::uint64_t> wire_reader::take_long_varint(std::string_view& from) {
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

}  // namespace truffula::shard
