#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

namespace truffula::http {

/// A deadline that is moved for every request but touches the timer only when it fires: moving it
/// is an assignment.
class deadline : public std::enable_shared_from_this<deadline> {
public:
    using clock = std::chrono::steady_clock;

    deadline(const boost::asio::any_io_executor& ex, std::function<void()> expired)
        : timer_(ex), expired_(std::move(expired)) {}

    void set(clock::duration from_now) {
        at_ = clock::now() + from_now;
        if (!is_waiting_ || at_ < waiting_for_) wait();
    }
    void clear() { at_ = clock::time_point::max(); }

    /// Nothing is called any more.
    void close() {
        clear();
        expired_ = nullptr;
        timer_.cancel();
    }

private:
    void wait() {
        is_waiting_ = true;
        waiting_for_ = at_;
        timer_.expires_at(at_);
        timer_.async_wait([self = shared_from_this()](boost::system::error_code ec) {
            if (ec) return;  // moved to an earlier time, or closed
            self->is_waiting_ = false;
            if (self->at_ == clock::time_point::max()) return;
            if (self->at_ > clock::now()) return self->wait();
            self->clear();
            if (self->expired_) self->expired_();
        });
    }

    boost::asio::steady_timer timer_;
    std::function<void()> expired_;
    clock::time_point at_ = clock::time_point::max();
    clock::time_point waiting_for_;
    bool is_waiting_ = false;
};

}  // namespace truffula::http
