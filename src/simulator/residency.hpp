#pragma once

#include "simulator/outcome.hpp"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace truffula::simulator {

/// When which adapter was on the shards. Pure; times count from the start.
class residency {
public:
    explicit residency(std::size_t adapters) : since_(adapters) {}

    void loaded(std::uint32_t adapter, duration at) { since_[adapter] = at; }

    void offloaded(std::uint32_t adapter, duration at) {
        const auto since = std::exchange(since_[adapter], std::nullopt);
        if (since) ended_.push_back({adapter, *since, at});
    }

    /// \returns all, those that are still there until `at`, in the order in which they ended.
    std::vector<residence> finish(duration at) {
        for (std::uint32_t a = 0; a < since_.size(); ++a) offloaded(a, at);
        return std::move(ended_);
    }

private:
    std::vector<std::optional<duration>> since_;
    std::vector<residence> ended_;
};

}  // namespace truffula::simulator
