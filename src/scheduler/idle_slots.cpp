#include "truffula/scheduler/idle_slots.hpp"

#include "scheduler/summed_times.hpp"

#include <utility>

namespace truffula::scheduler {

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
    return scheduler::waited(count_, sum_, now);
}

}  // namespace truffula::scheduler
