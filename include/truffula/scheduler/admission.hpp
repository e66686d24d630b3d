#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

namespace truffula::scheduler {

/// The right to occupy the engine, for one sequence. Given back when the last of those that share
/// it is destroyed, from any thread.
class permit {
public:
    permit() = default;
    permit(permit&&) noexcept = default;
    permit& operator=(permit&&) noexcept = default;

    /// The same right once more: for requests of one client that follow each other.
    permit share() const { return permit{held_}; }

    explicit operator bool() const noexcept { return held_ != nullptr; }

private:
    friend class admission;
    explicit permit(std::shared_ptr<const void> held) : held_(std::move(held)) {}

    std::shared_ptr<const void> held_;
};

/// Counts permits: what bounds the unbounded mailbox. \threads any.
class admission {
public:
    /// \param limit permits out at a time (`max_concurrent_requests`).
    explicit admission(std::size_t limit) : limit_(limit) {}

    /// One permit, or none when all are out.
    std::optional<permit> try_acquire() {
        auto used = in_use_->load(std::memory_order_relaxed);
        while (used < limit_) {
            if (in_use_->compare_exchange_weak(used, used + 1, std::memory_order_relaxed)) {
                const auto give_back = [in_use = in_use_](const void*) {
                    in_use->fetch_sub(1, std::memory_order_relaxed);
                };
                return permit{std::shared_ptr<const void>{this, give_back}};
            }
        }
        return std::nullopt;
    }

    std::size_t in_use() const noexcept { return in_use_->load(std::memory_order_relaxed); }
    std::size_t limit() const noexcept { return limit_; }

private:
    std::size_t limit_;
    std::shared_ptr<std::atomic<std::size_t>> in_use_ =
        std::make_shared<std::atomic<std::size_t>>(0);
};

}  // namespace truffula::scheduler
