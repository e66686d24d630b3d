#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace truffula::batching {

/// Polls for a short time instead of letting the executor's thread sleep: waking up would delay
/// what comes. Other handlers and threads run in between. \threads its executor's.
class busy_poller : public std::enable_shared_from_this<busy_poller> {
public:
    using time_point = std::chrono::steady_clock::time_point;

    /// \param poll may call the other functions.
    busy_poller(const boost::asio::any_io_executor& ex, std::function<void()> poll)
        : timer_(ex), poll_(std::move(poll)) {}

    /// Polls from the one time until the other; replaces what was asked for before.
    void poll_between(time_point from, time_point until);

    /// What was waited for has come.
    void end();

private:
    void turn(std::uint64_t asked);

    boost::asio::steady_timer timer_;
    std::function<void()> poll_;
    time_point until_{};
    std::uint64_t asked_ = 0;
};

}  // namespace truffula::batching
