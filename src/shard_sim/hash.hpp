#pragma once

#include <cstdint>
#include <string_view>

namespace truffula::shard_sim {

/// Mixes `value` into `state`; the same everywhere and for ever (unlike `std::hash`).
constexpr std::uint64_t mix(std::uint64_t state, std::uint64_t value) {
    std::uint64_t z =
        state + 0x9e3779b97f4a7c15ULL + (value ^ (value >> 32)) * 0xff51afd7ed558ccdULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

/// Mixes the bytes of `text`, its length included.
constexpr std::uint64_t mix(std::uint64_t state, std::string_view text) {
    state = mix(state, text.size());
    for (const char c : text) state = mix(state, static_cast<unsigned char>(c));
    return state;
}

}  // namespace truffula::shard_sim
