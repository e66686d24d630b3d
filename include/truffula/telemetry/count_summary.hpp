#pragma once

#include <prometheus/client_metric.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace truffula::telemetry {

/// How counts are spread over the last minute: a Prometheus summary with the quantiles 0, 0.5, 0.9,
/// 0.95, 0.99, 0.999 and 1 (contract section 14), the extremes exact, the others to 1.6 %.
///
/// A sample costs one increment; memory is bounded (about 2,000 counters of 4 bytes, twice),
/// however many samples come. Sum and count are of all time. \threads any.
class count_summary {
public:
    using clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds window{60};
    static constexpr std::array quantiles{0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0};

    /// Larger counts than 2^32 − 1 are taken for that.
    void observe(std::uint64_t count, clock::time_point now = clock::now());

    prometheus::ClientMetric::Summary collect(clock::time_point now = clock::now()) const;

private:
    /// Half of the window: whole halves are forgotten.
    struct half {
        std::vector<std::uint32_t> buckets;
        std::uint64_t samples = 0;
        std::uint32_t least = UINT32_MAX;
        std::uint32_t most = 0;

        void add(std::uint32_t count);
    };
    void forget_old(clock::time_point now) const;
    double quantile(double q) const;

    mutable std::mutex mutex_;
    mutable std::array<half, 2> halves_;  // the newer first
    mutable clock::time_point newer_since_{};
    std::uint64_t samples_ = 0;
    double sum_ = 0;
};

}  // namespace truffula::telemetry
