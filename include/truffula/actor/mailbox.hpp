#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/experimental/concurrent_channel.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>

#include <mutex>
#include <utility>
#include <vector>

namespace truffula {

namespace asio = boost::asio;

/// Unbounded FIFO of commands: many producers on any thread, one consumer.
///
/// The consumer gets all that waits at once, and is woken only when the mailbox was empty: a burst
/// costs one hand-over. What was accepted before `close()` is still delivered.
template <class Command>
class mailbox {
public:
    explicit mailbox(const asio::any_io_executor& ex) : wake_(ex, 1) {}

    /// Thread-safe, never blocks on I/O. False once closed; the command is then destroyed.
    [[nodiscard]] bool post(Command command) {
        const std::lock_guard lock{mutex_};
        if (closed_) return false;
        waiting_.push_back(std::move(command));
        if (waiting_.size() == 1) wake_.try_send(boost::system::error_code{});
        return true;
    }

    /// Thread-safe, idempotent. Nothing is accepted afterwards.
    void close() {
        const std::lock_guard lock{mutex_};
        if (!std::exchange(closed_, true)) wake_.try_send(boost::system::error_code{});
    }

    /// Waits, then swaps all waiting commands into `out` (cleared first; its capacity is reused).
    /// False, with `out` empty, once closed and drained, or when the wait was cancelled.
    /// Consumer only.
    asio::awaitable<bool> next(std::vector<Command>& out) {
        out.clear();
        while (!take(out)) {
            if (ended()) co_return false;
            auto [ec] = co_await wake_.async_receive(asio::as_tuple(asio::use_awaitable));
            if (ec) co_return false;
        }
        co_return true;
    }

    /// Destroys what is left, so that every unanswered reply completes. Consumer only.
    void drain() {
        close();
        std::vector<Command> rest;
        take(rest);
    }

private:
    bool take(std::vector<Command>& out) {
        const std::lock_guard lock{mutex_};
        out.swap(waiting_);
        return !out.empty();
    }

    bool ended() {
        const std::lock_guard lock{mutex_};
        return closed_ && waiting_.empty();
    }

    std::mutex mutex_;
    bool closed_ = false;
    std::vector<Command> waiting_;
    // Capacity 1: a wake-up that nobody has taken yet stands for all commands since.
    asio::experimental::concurrent_channel<void(boost::system::error_code)> wake_;
};

}  // namespace truffula
