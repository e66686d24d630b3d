#include "shard_sim/violations.hpp"

#include <numeric>

namespace truffula::shard_sim {

std::string batch_name(std::uint64_t id) {
    return "batch " + std::to_string(id);
}

std::string request_name(std::uint64_t id) {
    return "request " + std::to_string(id);
}

void violation_log::add(violation v, const std::string& about) {
    ++counts_[static_cast<std::size_t>(v)];
    if (examples_.size() == most_examples) return;
    examples_.push_back(std::string{name_of(v)} + ": " + about);
}

std::uint64_t violation_log::total() const {
    return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
}

}  // namespace truffula::shard_sim
