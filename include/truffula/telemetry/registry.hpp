#pragma once

#include "truffula/telemetry/count_summary.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::telemetry {

using labels = std::map<std::string, std::string>;
using buckets = std::vector<double>;

/// Bounds of durations in seconds: 0.0001 × 1.5^k for k = 1 … 35 (contract section 14).
buckets duration_buckets();

/// Bounds of short durations in seconds: one microsecond × 2^k for k = 0 … 20.
buckets short_duration_buckets();

/// `count` equal steps up to `highest`.
buckets equal_buckets(std::uint64_t highest, std::size_t count = 100);

inline double seconds(std::chrono::steady_clock::duration d) {
    return std::chrono::duration<double>(d).count();
}

/// The process's metrics. What a function returns lives as long as the registry and may be used
/// from any thread; asking again for the same name and labels gives the same metric.
///
/// A series without a sample is left out of what is written, and there are no help lines, as
/// LoRAX's dashboards know it. \threads any.
class registry {
public:
    prometheus::Counter& counter(const std::string& name, const labels& of = {});
    prometheus::Gauge& gauge(const std::string& name, const labels& of = {});
    prometheus::Histogram& histogram(
        const std::string& name, const buckets& bounds, const labels& of = {});
    count_summary& summary(const std::string& name);

    /// Prometheus' text form.
    std::string text() const;

    /// One object: name → `{"type", "data": [{"key", "value"}]}` (contract section 8).
    std::string json() const;

private:
    std::vector<prometheus::MetricFamily> sampled() const;

    prometheus::Registry all_;
    mutable std::mutex summaries_mutex_;
    std::map<std::string, count_summary> summaries_;
};

}  // namespace truffula::telemetry
