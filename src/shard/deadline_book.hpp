#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>

namespace truffula::shard {

/// Which call of a shard times out when. A LoRAX shard serves one call at a time, so only the
/// oldest open call is on the clock: the time of the next starts when that one was answered or
/// given up. Pure.
class deadline_book {
public:
    using clock = std::chrono::steady_clock;
    using call_id = std::int32_t;

    void sent(call_id call, clock::duration timeout, clock::time_point now) {
        open_.push_back({call, timeout});
        if (open_.size() == 1) started_ = now;
    }

    /// Answered or given up.
    void done(call_id call, clock::time_point now) {
        for (auto at = open_.begin(); at != open_.end(); ++at) {
            if (at->call != call) continue;
            if (at == open_.begin()) started_ = now;
            open_.erase(at);
            return;
        }
    }

    /// When the oldest open call times out.
    std::optional<clock::time_point> next() const {
        if (open_.empty()) return std::nullopt;
        return started_ + open_.front().timeout;
    }

    /// The call that has timed out by `now`; report it with `done`.
    std::optional<call_id> expired(clock::time_point now) const {
        const auto deadline = next();
        if (!deadline || *deadline > now) return std::nullopt;
        return open_.front().call;
    }

private:
    struct open_call {
        call_id call;
        clock::duration timeout;
    };
    std::deque<open_call> open_;  // in the order they were sent
    clock::time_point started_;   // of the oldest
};

}  // namespace truffula::shard
