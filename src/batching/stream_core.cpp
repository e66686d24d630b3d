#include "batching/stream_core.hpp"

#include "truffula/shard/read_generation.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <string>
#include <utility>

namespace truffula::batching {

stream_core::stream_core(
    scheduler::request_id id,
    std::shared_ptr<delivery_lane> lane,
    std::size_t max_waiting_bytes,
    std::function<void(scheduler::request_id)> cancel)
    : id_(id),
      lane_(std::move(lane)),
      max_waiting_bytes_(max_waiting_bytes),
      cancel_(std::move(cancel)),
      wake_(lane_->executor(), 1) {}

void stream_core::fail(error why) {
    lane_->post(notice{shared_from_this(), std::move(why)});
}

void stream_core::finish(
    std::shared_ptr<const inference::pooled_answer> answer,
    scheduler::time_point batched,
    scheduler::time_point arrived) {
    lane_->post(pooled_delivery{shared_from_this(), std::move(answer), batched, arrived});
}

void stream_core::start_over() {
    lane_->post(notice{shared_from_this(), std::nullopt});
}

void stream_core::take(
    std::string_view generation, const delivery& from, scheduler::time_point batched) {
    if (has_ended() || abandoned()) return;
    if (times.first_token == scheduler::time_point{}) {
        times.batched = batched;
        times.first_token = from.arrived;
    }
    auto step = shard::read_generation(generation);
    if (!step) {
        spdlog::warn("request {}: {}", id_, step.error().detail);
        lane_->note_bad_answer();
        return give_up({errc::generation, "Server error: " + step.error().detail});
    }
    is_complete_ = step->finished.has_value();
    waiting_bytes_ += generation.size();
    ready_.push_back({std::move(*step), generation.size()});
    // What came since the reader took all that it had is not its fault, however much it is.
    if (waiting_bytes_ <= max_waiting_bytes_ || untaken_bytes_ == 0) return;
    forget_ready();
    is_complete_ = false;
    spdlog::info("request {}: ended, its client reads too slowly", id_);
    give_up(
        {errc::generation,
         "the client reads too slowly: more than " + std::to_string(max_waiting_bytes_ / 1024) +
             " KiB of its answer wait"});
}

void stream_core::take(const pooled_delivery& whole) {
    if (has_ended() || abandoned()) return;
    times.batched = whole.batched;
    times.first_token = whole.arrived;
    is_complete_ = true;
    inference::step only;
    only.pooled = whole.answer;
    ready_.push_back({std::move(only), 0});
}

void stream_core::forget_ready() {
    std::vector<waiting_step>{}.swap(ready_);  // with its memory
    taken_ = 0;
    waiting_bytes_ = 0;
    untaken_bytes_ = 0;
}

void stream_core::give_up(error why) {
    end(std::move(why));
    cancel_(id_);
}

void stream_core::end(error why) {
    if (!has_ended()) failure_ = std::move(why);
}

void stream_core::restart() {
    if (has_ended()) return;
    forget_ready();
    inference::step over;
    over.restarted = true;
    ready_.push_back({std::move(over), 0});
    times.first_token = {};
}

void stream_core::leave() {
    if (is_abandoned_.exchange(true) || has_ended()) return;
    cancel_(id_);
}

void stream_core::wake() {
    untaken_bytes_ = waiting_bytes_;
    wake_.try_send(boost::system::error_code{});
}

std::optional<inference::step> stream_core::poll() {
    if (ready_.empty()) return std::nullopt;
    auto first = std::move(ready_[taken_++]);
    waiting_bytes_ -= first.bytes;
    untaken_bytes_ -= std::min(untaken_bytes_, first.bytes);
    if (taken_ == ready_.size()) forget_ready();
    return std::move(first.what);
}

boost::asio::awaitable<result<std::optional<inference::step>>> stream_core::next() {
    const auto self = shared_from_this();
    for (;;) {
        if (auto step = self->poll()) co_return std::move(step);
        if (self->failure_) co_return *self->failure_;
        if (self->is_complete_) co_return std::optional<inference::step>{};
        auto [ec] =
            co_await self->wake_.async_receive(boost::asio::as_tuple(boost::asio::use_awaitable));
        if (ec) co_return error{errc::cancelled, "the client left"};
    }
}

}  // namespace truffula::batching
