#include "truffula/scheduler/drain_rate.hpp"

#include <algorithm>
#include <cmath>

namespace truffula::scheduler {
namespace {

constexpr double memory_seconds = 10;
constexpr double least_seconds = 0.5;
constexpr double least_requests = 8;

double seconds(drain_rate::duration d) {
    return std::chrono::duration<double>(d).count();
}

}  // namespace

void drain_rate::observe(std::size_t left, std::size_t waiting, time_point now) {
    if (busy_since_ && now > *busy_since_) {
        const auto passed = seconds(now - *busy_since_);
        // Of a slow line so many requests are remembered, however long ago: else it is never known.
        const auto least = left_ > least_requests ? least_requests / left_ : 1;
        const auto within = memory_seconds / std::max(busy_seconds_, memory_seconds);
        const auto kept = std::max(std::min(std::exp(-passed / memory_seconds), within), least);
        busy_seconds_ = busy_seconds_ * kept + passed;
        left_ *= kept;
    }
    left_ += static_cast<double>(left);
    busy_since_ = waiting > 0 ? std::optional{now} : std::nullopt;
}

std::optional<double> drain_rate::per_second() const {
    if (busy_seconds_ < least_seconds || left_ < least_requests) return std::nullopt;
    return left_ / busy_seconds_;
}

std::optional<drain_rate::duration> drain_rate::time_for(std::size_t requests) const {
    const auto rate = per_second();
    if (!rate) return std::nullopt;
    return std::chrono::duration_cast<duration>(
        std::chrono::duration<double>(static_cast<double>(requests) / *rate));
}

std::chrono::seconds retry_line::refused(double per_second, drain_rate::time_point now) {
    const auto passed = std::max(0.0, seconds(now - last_));
    last_ = now;
    if (!(per_second > 0)) {
        length_ += 1;
        return unknown;
    }
    length_ = std::max(0.0, length_ - passed * per_second) + 1;
    // Who is told to come at the end comes then: the line is never longer than that.
    length_ = std::min(length_, per_second * static_cast<double>(longest.count()) + 1);
    const auto wait = std::ceil(length_ / per_second);
    return std::clamp(
        std::chrono::seconds{static_cast<std::chrono::seconds::rep>(
            std::min(wait, static_cast<double>(longest.count())))},
        std::chrono::seconds{1},
        longest);
}

}  // namespace truffula::scheduler
