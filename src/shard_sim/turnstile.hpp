#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace truffula::shard_sim {

/// Lets one through at a time, in the order of their numbers (0, 1, 2 …, none left out). A mutex
/// would let anyone through.
/// \threads any.
class turnstile {
public:
    /// Waits until it is the turn of `number`.
    void pass(std::uint64_t number) {
        std::unique_lock lock{mutex_};
        turn_.wait(lock, [&] { return serving_ == number; });
    }

    /// The one inside leaves.
    void leave() {
        const std::lock_guard lock{mutex_};
        ++serving_;
        turn_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable turn_;
    std::uint64_t serving_ = 0;
};

}  // namespace truffula::shard_sim
