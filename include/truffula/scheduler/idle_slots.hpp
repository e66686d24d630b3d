#pragma once

#include "truffula/adapter/adapter_table.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

namespace truffula::scheduler {

/// Slots whose adapter nobody runs with, though somebody could: time that those who wait for a slot
/// lose as by a stall. Pure; each call costs O(1).
class idle_slots {
public:
    using time_point = std::chrono::steady_clock::time_point;
    using duration = std::chrono::steady_clock::duration;

    /// \param since when the first request of the adapter could have run; none: one runs, none
    ///     waits, or the adapter takes no slot
    void note(adapter::adapter_key key, std::optional<time_point> since);

    std::size_t count() const { return count_; }

    /// For how long they have been so, all together.
    duration waited(time_point now) const;

private:
    std::vector<std::optional<std::chrono::microseconds>> since_;  // by key
    std::size_t count_ = 0;
    std::chrono::microseconds sum_{};  // of `since_`; nanoseconds would overflow
};

}  // namespace truffula::scheduler
