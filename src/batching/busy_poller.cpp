#include "batching/busy_poller.hpp"

#include <boost/asio/post.hpp>

#include <sched.h>

namespace truffula::batching {

void busy_poller::poll_between(time_point from, time_point until) {
    until_ = until;
    timer_.expires_at(from);
    timer_.async_wait([weak = weak_from_this(), asked = ++asked_](boost::system::error_code ec) {
        const auto self = weak.lock();
        if (!ec && self) self->turn(asked);
    });
}

void busy_poller::end() {
    ++asked_;
    timer_.cancel();
}

void busy_poller::turn(std::uint64_t asked) {
    if (asked != asked_ || std::chrono::steady_clock::now() >= until_) return;
    ::sched_yield();  // a shard on this processor goes first
    poll_();
    boost::asio::post(
        timer_.get_executor(), [self = shared_from_this(), asked] { self->turn(asked); });
}

}  // namespace truffula::batching
