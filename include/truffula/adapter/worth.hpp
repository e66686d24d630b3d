#pragma once

#include <chrono>
#include <cstdint>

namespace truffula::adapter {

/// What it is worth to keep an adapter loaded: how often it is asked for, times what loading it
/// again would take, per memory that it occupies. Pure.
class worth {
public:
    using time_point = std::chrono::steady_clock::time_point;
    using duration = std::chrono::steady_clock::duration;

    /// After so long a use counts half.
    static constexpr std::chrono::seconds half_life{60};

    /// A request asked for the adapter.
    void used(time_point now);

    /// It took so long to bring it to the shards. The last times count most.
    void loaded(duration took);

    /// Higher: keep it rather. All ranks fall alike as time passes, so that two that were taken at
    /// different times can be compared, and an order by rank stays right.
    ///
    /// \param memory what it occupies, in any unit; 0 counts as 1.
    double rank(std::uint32_t memory) const;

private:
    double uses_ = 0;       // log2 of the uses, each grown by age instead of all others shrunk
    bool is_used_ = false;  // else `uses_` says nothing
    duration load_time_{};
};

}  // namespace truffula::adapter
