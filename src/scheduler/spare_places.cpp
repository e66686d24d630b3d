#include "truffula/scheduler/spare_places.hpp"

#include <algorithm>

namespace truffula::scheduler {

void spare_places::pass_time(time_point now) {
    const auto passed = std::chrono::duration_cast<std::chrono::microseconds>(now - last_);
    empty_ += static_cast<std::chrono::microseconds::rep>(wanted_) * passed;
    last_ = now;
}

void spare_places::formed(bool has_taken, std::size_t wanted) {
    if (has_taken) empty_ = {};
    wanted_ = wanted;
}

waiting_now spare_places::limit(waiting_now who, std::size_t candidates) const {
    if (candidates >= who.count) return who;
    who.count = candidates;
    who.waited = std::min<steady_clock::duration>(who.waited, empty_);
    who.idle_slots = std::min(who.idle_slots, candidates);
    who.slots_idle = std::min<steady_clock::duration>(who.slots_idle, empty_);
    return who;
}

}  // namespace truffula::scheduler
