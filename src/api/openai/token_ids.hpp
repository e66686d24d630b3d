#pragma once

#include <cstdint>
#include <limits>
#include <vector>

namespace truffula::api::openai {

/// Appends the token ids of a JSON list. False: it is empty, or has what is no id.
template <class Json>
bool read_token_ids(const Json& list, std::vector<std::uint32_t>& to) {
    constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max();
    for (const auto& id : list) {
        if (!id.is_number_unsigned() || id.template get<std::uint64_t>() > most) return false;
        to.push_back(id.template get<std::uint32_t>());
    }
    return !to.empty();
}

}  // namespace truffula::api::openai
