#include "shard_sim/gap_meter.hpp"

#include <algorithm>

namespace truffula::shard_sim {

void gap_meter::arrived(time_point now) {
    if (!since_) return;
    gaps_.push_back(std::chrono::duration<float, std::micro>(now - *since_).count());
    since_.reset();
}

gap_summary gap_meter::summary() const {
    gap_summary out;
    out.count = gaps_.size();
    if (gaps_.empty()) return out;
    auto sorted = gaps_;
    std::sort(sorted.begin(), sorted.end());
    const auto at = [&](std::size_t percent) {
        return static_cast<double>(sorted[(sorted.size() - 1) * percent / 100]);
    };
    out.min = at(0);
    out.median = at(50);
    out.p99 = at(99);
    out.max = at(100);
    return out;
}

}  // namespace truffula::shard_sim
