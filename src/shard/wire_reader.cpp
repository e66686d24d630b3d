#include "shard/wire_reader.hpp"

namespace truffula::shard {

bool wire_reader::take_long_varint(std::uint64_t& to) {
    to = 0;
    for (unsigned i = 0; i < 10 && i < left(); ++i) {
        const auto byte = static_cast<unsigned char>(at_[i]);
        if (i == 9 && byte > 1) break;  // more than 64 bits
        to |= std::uint64_t{byte & 0x7FU} << (7U * i);
        if ((byte & 0x80U) == 0) {
            at_ += i + 1;
            return true;
        }
    }
    return malformed();
}

}  // namespace truffula::shard
