#pragma once

#include <chrono>
#include <cstddef>

namespace truffula::scheduler {

/// A point in time as it is summed: sums of nanoseconds would overflow.
inline std::chrono::microseconds whole_microseconds(std::chrono::steady_clock::time_point t) {
    return std::chrono::duration_cast<std::chrono::microseconds>(t.time_since_epoch());
}

/// What `count` have waited together that began at times which add up to `since`.
inline std::chrono::steady_clock::duration waited(
    std::size_t count, std::chrono::microseconds since, std::chrono::steady_clock::time_point now) {
    return whole_microseconds(now) * static_cast<std::chrono::steady_clock::rep>(count) - since;
}

}  // namespace truffula::scheduler
