#include "batching/delivery_lane.hpp"

#include "batching/stream_core.hpp"

#include <boost/asio/post.hpp>

#include <utility>

namespace truffula::batching {

/// A drain that its thread owes; the thread may end before.
struct delivery_lane::owed_drain {
    explicit owed_drain(std::shared_ptr<delivery_lane> l) : lane(std::move(l)) {}
    owed_drain(owed_drain&&) noexcept = default;
    owed_drain& operator=(owed_drain&&) = delete;
    ~owed_drain() {
        if (lane) lane->close();
    }
    void operator()() { std::exchange(lane, nullptr)->drain(); }

    std::shared_ptr<delivery_lane> lane;
};

delivery_lane::delivery_lane(
    std::size_t index, boost::asio::any_io_executor http, std::size_t max_bytes, lane_events events)
    : index_(index), http_(std::move(http)), max_bytes_(max_bytes), events_(std::move(events)) {}

void delivery_lane::post(delivery d) {
    undelivered_.fetch_add(d.bytes, std::memory_order_relaxed);
    put(std::move(d));
}

void delivery_lane::post(notice n) {
    put(std::move(n));
}

void delivery_lane::post(pooled_delivery d) {
    put(std::move(d));
}

void delivery_lane::put(item i) {
    {
        const std::lock_guard lock{mutex_};
        if (is_closed_) return;
        items_.push_back(std::move(i));
        if (std::exchange(is_drain_due_, true)) return;
    }
    post_drain();
}

void delivery_lane::post_drain() {
    boost::asio::post(http_, owed_drain{shared_from_this()});
}

/// Nobody will drain it: what it holds goes. A stream among that holds the lane, and neither would
/// ever be destroyed.
void delivery_lane::close() {
    std::vector<item> dropped;
    const std::lock_guard lock{mutex_};
    is_closed_ = true;
    dropped.swap(items_);
}

void delivery_lane::drain() {
    {
        const std::lock_guard lock{mutex_};
        draining_.swap(items_);
    }
    std::size_t delivered = 0;
    for (auto& i : draining_) {
        if (auto* const d = std::get_if<delivery>(&i)) {
            delivered += d->bytes;
            hand_over(*d, touched_);
        } else if (auto* const p = std::get_if<pooled_delivery>(&i)) {
            p->to->take(*p);
            touched_.push_back(std::move(p->to));
        } else {
            auto& n = std::get<notice>(i);
            if (n.why) {
                n.to->end(std::move(*n.why));
            } else {
                n.to->restart();
            }
            touched_.push_back(std::move(n.to));
        }
    }
    draining_.clear();
    // After all steps that wait, so that a stream writes everything it has got at once.
    for (const auto& stream : touched_) stream->wake();
    touched_.clear();
    bool is_more = false;
    {
        const std::lock_guard lock{mutex_};
        is_more = is_drain_due_ = !items_.empty();
    }
    // Behind those that were woken: they take what they have got before more comes. A drain that
    // cannot be posted closes the lane, so not under the lock.
    if (is_more) post_drain();
    const auto before = undelivered_.fetch_sub(delivered, std::memory_order_relaxed);
    if (before > max_bytes_ && before - delivered <= max_bytes_) events_.drained();
}

void delivery_lane::hand_over(delivery& d, std::vector<std::shared_ptr<stream_core>>& touched) {
    for (auto& span : d.spans) {
        span.to->take(span.bytes, d, span.batched);
        touched.push_back(std::move(span.to));
    }
    d.buffers.clear();
}

}  // namespace truffula::batching
