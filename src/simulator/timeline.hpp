#pragma once

#include "simulator/workload.hpp"

#include <cstddef>
#include <vector>

namespace truffula::simulator {

/// How many requests waited and ran, over time, in a bounded number of equal bins: when they are
/// all used, pairs of them become one. Pure.
class timeline {
public:
    struct bin {
        double waiting = 0;  ///< Mean over the bin.
        double running = 0;
        std::size_t most_waiting = 0;
        std::size_t most_running = 0;
    };

    /// The counts from `now` on, which never goes back.
    void note(duration now, std::size_t waiting, std::size_t running);

    /// The last bin ends here.
    void finish(duration now) { note(now, waiting_, running_); }

    duration width() const { return width_; }

    /// Means of all bins; the last may be cut short.
    std::vector<bin> bins() const;

private:
    static constexpr std::size_t most_bins = 600;
    struct sums {
        double waiting = 0;  // times nanoseconds
        double running = 0;
        std::size_t most_waiting = 0;
        std::size_t most_running = 0;
    };

    void add(duration to);
    void halve();

    duration width_ = std::chrono::milliseconds{10};
    std::vector<sums> bins_;
    duration last_{0};
    std::size_t waiting_ = 0;
    std::size_t running_ = 0;
};

}  // namespace truffula::simulator
