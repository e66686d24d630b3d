#pragma once

#include "truffula/scheduler/join_rule.hpp"

#include <chrono>
#include <cstddef>

namespace truffula::scheduler {

/// How long places beside the running batch have stood empty while somebody could have had them.
/// When more wait than there is room for, this, and not how long they all have waited, is what
/// joining sooner could have saved. Pure.
class spare_places {
public:
    using time_point = std::chrono::steady_clock::time_point;

    /// A batch is about to be formed.
    void pass_time(time_point now);

    /// It was: `wanted` of those who still wait would have had room.
    void formed(bool has_taken, std::size_t wanted);

    /// Of those who wait, the `candidates` that have room.
    waiting_now limit(waiting_now who, std::size_t candidates) const;

private:
    time_point last_;
    std::size_t wanted_ = 0;
    std::chrono::microseconds empty_{};  // of all places together, since the last batch
};

}  // namespace truffula::scheduler
