#pragma once

#include "truffula/error/error.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/experimental/concurrent_channel.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <memory>
#include <optional>
#include <utility>

namespace truffula {

namespace asio = boost::asio;

template <class T>
class reply;
template <class T>
class pending;
template <class T>
std::pair<reply<T>, pending<T>> make_oneshot(asio::any_io_executor ex);

namespace detail {
// The optional is there because a closed channel completes with a default-constructed payload.
template <class T>
using oneshot_channel = asio::experimental::concurrent_channel<void(
    boost::system::error_code, std::optional<result<T>>)>;
}  // namespace detail

/// The answering half. Destroying it unanswered completes the waiter with `errc::stopped`.
template <class T>
class reply {
public:
    reply(reply&&) noexcept = default;
    reply& operator=(reply&&) noexcept = delete;
    ~reply() {
        if (channel_) channel_->close();
    }

    /// Answers, at most once. False: nobody waits any more, so the work was in vain.
    bool send(result<T> value) {
        auto channel = std::exchange(channel_, nullptr);
        return channel && channel->try_send(boost::system::error_code{}, std::move(value));
    }

    /// True once the waiter was cancelled or dropped. Check it before costly work.
    bool abandoned() const { return !channel_ || !channel_->is_open(); }

private:
    friend std::pair<reply<T>, pending<T>> make_oneshot<T>(asio::any_io_executor);
    explicit reply(std::shared_ptr<detail::oneshot_channel<T>> c) : channel_(std::move(c)) {}
    std::shared_ptr<detail::oneshot_channel<T>> channel_;
};

/// The waiting half. Destroying it marks the reply as abandoned.
template <class T>
class pending {
public:
    pending(pending&&) noexcept = default;
    pending& operator=(pending&&) noexcept = delete;
    ~pending() {
        if (channel_) channel_->close();
    }

    asio::awaitable<result<T>> get() {
        auto [ec, value] = co_await channel_->async_receive(asio::as_tuple(asio::use_awaitable));
        if (value) co_return std::move(*value);
        if (ec == asio::experimental::error::channel_cancelled) {
            co_return error{errc::cancelled, "waiter cancelled"};
        }
        co_return error{errc::stopped, "actor dropped the request"};
    }

private:
    friend std::pair<reply<T>, pending<T>> make_oneshot<T>(asio::any_io_executor);
    explicit pending(std::shared_ptr<detail::oneshot_channel<T>> c) : channel_(std::move(c)) {}
    std::shared_ptr<detail::oneshot_channel<T>> channel_;
};

template <class T>
std::pair<reply<T>, pending<T>> make_oneshot(asio::any_io_executor ex) {
    auto channel = std::make_shared<detail::oneshot_channel<T>>(ex, 1);
    return {reply<T>{channel}, pending<T>{channel}};
}

}  // namespace truffula
