#include "shard_sim/prompt.hpp"

#include "shard_sim/hash.hpp"

#include <algorithm>
#include <sstream>

namespace truffula::shard_sim {

std::vector<std::uint32_t> prompt_ids(const wire::Request& request) {
    const auto& sent = request.tokenized_inputs().ids();
    std::vector<std::uint32_t> ids(sent.begin(), sent.end());
    if (ids.empty()) {
        std::istringstream words{request.inputs()};
        for (std::string word; words >> word;) {
            ids.push_back(static_cast<std::uint32_t>(mix(0, word) % 30'000) + 100);
        }
    }
    if (ids.empty()) ids.push_back(1);
    const std::size_t limit = request.truncate();
    if (limit != 0 && ids.size() > limit) {
        ids.erase(ids.begin(), ids.end() - static_cast<std::ptrdiff_t>(limit));
    }
    return ids;
}

std::string label_of(const wire::AdapterParameters& parameters) {
    std::string label;
    for (const auto& id : parameters.adapter_ids()) {
        if (!label.empty()) label += '+';
        label += id;
    }
    return label;
}

std::string key_of(const wire::AdapterParameters& parameters, wire::AdapterSource source) {
    return parameters.SerializeAsString() + static_cast<char>('0' + static_cast<int>(source));
}

}  // namespace truffula::shard_sim
