#include "truffula/shard/refusals.hpp"

#include <algorithm>
#include <cctype>

namespace truffula::shard {

bool lacks_memory(std::string_view words) noexcept {
    constexpr std::string_view exhausted = "out of memory";
    const auto same = [](unsigned char a, char b) { return std::tolower(a) == b; };
    const auto found =
        std::search(words.begin(), words.end(), exhausted.begin(), exhausted.end(), same);
    return found != words.end() || words.starts_with(out_of_resources);
}

}  // namespace truffula::shard
