#pragma once

#include "truffula/error/error.hpp"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace truffula::shard {

/// One open call; its waiter is resumed straight from the read that completed it.
template <class T>
class open_call : public std::enable_shared_from_this<open_call<T>> {
public:
    /// Gives the answer. The waiter goes on inside of this call.
    void complete(result<T> answer) {
        answer_ = std::move(answer);
        if (const auto first = std::exchange(first_, nullptr)) first(*answer_);
        if (auto waiter = std::exchange(waiter_, nullptr)) waiter->resume();
    }

    /// Shows the answer to `first` before the waiter gets it.
    void on_answer(std::function<void(result<T>&)> first) {
        if (answer_) return first(*answer_);
        first_ = std::move(first);
    }

    /// Waits for the answer; once, by one waiter.
    ///
    /// \errors those of the call.
    /// \cancellation terminal; there is no answer afterwards.
    boost::asio::awaitable<result<T>> get() {
        if (!answer_) {
            co_await boost::asio::async_initiate<decltype(boost::asio::use_awaitable), void()>(
                start_wait{this}, boost::asio::use_awaitable);
        }
        if (!answer_) co_return error{errc::cancelled, "the call was given up"};
        co_return std::move(*answer_);
    }

private:
    struct parked {
        virtual ~parked() = default;
        virtual void resume() = 0;
    };
    template <class Handler>
    struct parked_handler final : parked {
        explicit parked_handler(Handler h) : handler(std::move(h)) {}
        void resume() override {
            boost::asio::get_associated_cancellation_slot(handler).clear();
            auto h = std::move(handler);
            std::move(h)();
        }
        Handler handler;
    };
    struct start_wait {
        open_call* call;
        template <class Handler>
        void operator()(Handler&& handler) const {
            using plain = std::decay_t<Handler>;
            auto slot = boost::asio::get_associated_cancellation_slot(handler);
            auto ex = boost::asio::get_associated_executor(handler);
            call->waiter_ = std::make_unique<parked_handler<plain>>(std::forward<Handler>(handler));
            if (!slot.is_connected()) return;
            slot.assign([weak = call->weak_from_this(), ex](boost::asio::cancellation_type) {
                const auto alive = weak.lock();
                if (!alive || !alive->waiter_) return;
                // Not from inside the signal's own call: the slot is cleared on resumption.
                std::shared_ptr<parked> waiting{std::move(alive->waiter_)};
                boost::asio::post(ex, [waiting] { waiting->resume(); });
            });
        }
    };

    std::optional<result<T>> answer_;
    std::function<void(result<T>&)> first_;
    std::unique_ptr<parked> waiter_;
};

}  // namespace truffula::shard
