#include "truffula/scheduler/idle_slots.hpp"

#include <utility>

namespace truffula::scheduler {
namespace {

std::chrono::microseconds whole_microseconds(idle_slots::time_point t) {
    return std::chrono::duration_cast<std::chrono::microseconds>(t.time_since_epoch());
}

}  // namespace

void idle_slots::note(adapter::adapter_key key, std::optional<time_point> since) {
    if (key >= since_.size()) {
        if (!since) return;
        since_.resize(std::size_t{key} + 1);
    }
    std::optional<std::chrono::microseconds> fresh;
    if (since) fresh = whole_microseconds(*since);
    const auto old = std::exchange(since_[key], fresh);
    if (old) {
        --count_;
        sum_ -= *old;
    }
    if (fresh) {
        ++count_;
        sum_ += *fresh;
    }
}

idle_slots::duration idle_slots::waited(time_point now) const {
    return whole_microseconds(now) * static_cast<duration::rep>(count_) - sum_;
}

}  // namespace truffula::scheduler
