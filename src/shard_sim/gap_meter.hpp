#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

namespace truffula::shard_sim {

/// Times from a Decode answer to the next Decode, in microseconds.
struct gap_summary {
    std::size_t count = 0;
    double min = 0;
    double median = 0;
    double p99 = 0;
    double max = 0;
};

/// Measures how long the shard waits between the answer of a Decode that left a batch and the
/// arrival of the next Decode. A gap in which a Prefill was served is not one.
class gap_meter {
public:
    using time_point = std::chrono::steady_clock::time_point;

    /// A Decode arrived at `now`.
    void arrived(time_point now);
    /// A Decode is about to be answered at `now`, with a batch that goes on.
    void answered(time_point now) { since_ = now; }
    /// The next gap would not be one: a Prefill came, or nothing is running.
    void interrupt() { since_.reset(); }

    gap_summary summary() const;

private:
    std::optional<time_point> since_;
    std::vector<float> gaps_;  ///< Microseconds.
};

}  // namespace truffula::shard_sim
