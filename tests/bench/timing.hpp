#pragma once

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <vector>

namespace truffula::bench {

using nanoseconds = std::chrono::duration<double, std::nano>;
using microseconds = std::chrono::duration<double, std::micro>;

/// What a call of `work` takes, in `Unit`: the mean of `count` calls, for each of `rounds` rounds.
template <class Unit, class Work>
std::vector<double> time_of(std::size_t rounds, std::size_t count, Work work) {
    std::vector<double> each;
    for (std::size_t round = 0; round < rounds; ++round) {
        const auto started = std::chrono::steady_clock::now();
        for (std::size_t i = 0; i < count; ++i) work();
        const Unit passed = std::chrono::steady_clock::now() - started;
        each.push_back(passed.count() / static_cast<double>(count));
    }
    return each;
}

/// What was measured did what it should; else there is nothing to report.
inline void check(bool is_fine) {
    if (!is_fine) std::abort();
}

}  // namespace truffula::bench
