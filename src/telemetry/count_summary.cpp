#include "truffula/telemetry/count_summary.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

namespace truffula::telemetry {
namespace {

// Counts below 128 have a bucket each; above, each power of two has 64 of equal width.
constexpr std::uint32_t exact = 128;
constexpr std::uint32_t per_power = 64;

std::size_t bucket_of(std::uint32_t count) {
    if (count < exact) return count;
    const auto shift = static_cast<std::uint32_t>(std::bit_width(count)) - 7;
    return exact + (shift - 1) * per_power + ((count >> shift) - per_power);
}

std::uint32_t least_of(std::size_t bucket) {
    if (bucket < exact) return static_cast<std::uint32_t>(bucket);
    const auto above = static_cast<std::uint32_t>(bucket) - exact;
    return (per_power + above % per_power) << (above / per_power + 1);
}

}  // namespace

void count_summary::half::add(std::uint32_t count) {
    const auto at = bucket_of(count);
    if (buckets.size() <= at) buckets.resize(at + 1);
    ++buckets[at];
    ++samples;
    least = std::min(least, count);
    most = std::max(most, count);
}

void count_summary::observe(std::uint64_t count, clock::time_point now) {
    const std::lock_guard lock{mutex_};
    forget_old(now);
    const auto kept = static_cast<std::uint32_t>(std::min<std::uint64_t>(count, UINT32_MAX));
    halves_.front().add(kept);
    ++samples_;
    sum_ += static_cast<double>(count);
}

void count_summary::forget_old(clock::time_point now) const {
    const auto age = now - newer_since_;
    if (age < window / 2) return;
    halves_.back() = age < window ? std::exchange(halves_.front(), {}) : half{};
    halves_.front() = {};
    newer_since_ = now;
}

/// By nearest rank.
double count_summary::quantile(double q) const {
    const auto& [newer, older] = halves_;
    const auto samples = newer.samples + older.samples;
    if (samples == 0) return 0;
    if (q <= 0) return std::min(newer.least, older.least);
    const auto most = std::max(newer.most, older.most);
    const auto rank = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(samples)));
    std::uint64_t seen = 0;
    for (std::size_t b = 0; b < std::max(newer.buckets.size(), older.buckets.size()); ++b) {
        for (const auto& h : halves_) seen += b < h.buckets.size() ? h.buckets[b] : 0;
        if (q < 1 && seen >= rank) return least_of(b);
    }
    return most;
}

prometheus::ClientMetric::Summary count_summary::collect(clock::time_point now) const {
    const std::lock_guard lock{mutex_};
    forget_old(now);
    prometheus::ClientMetric::Summary out;
    for (const auto q : quantiles) out.quantile.push_back({q, quantile(q)});
    out.sample_count = samples_;
    out.sample_sum = sum_;
    return out;
}

}  // namespace truffula::telemetry
