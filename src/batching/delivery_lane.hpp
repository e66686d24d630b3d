#pragma once

#include "truffula/error/error.hpp"
#include "truffula/inference/step.hpp"
#include "truffula/scheduler/entry.hpp"
#include "truffula/shard/answers.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <variant>
#include <vector>

namespace truffula::batching {

class stream_core;

/// One request's part of a step: bytes that nobody has parsed yet.
struct delivered_span {
    std::shared_ptr<stream_core> to;
    std::string_view bytes;  ///< Inside a buffer of the same delivery.
    scheduler::time_point batched;
};

/// What one step gave the requests of one HTTP thread.
struct delivery {
    std::vector<shard::answer_buffer> buffers;
    std::vector<delivered_span> spans;
    scheduler::time_point arrived;
    std::size_t bytes = 0;  ///< Of all spans.
};

/// A request ends with an error, or starts over.
struct notice {
    std::shared_ptr<stream_core> to;
    std::optional<error> why;  ///< None: it starts over.
};

/// The whole answer to a request that does not generate.
struct pooled_delivery {
    std::shared_ptr<stream_core> to;
    std::shared_ptr<const inference::pooled_answer> answer;
    scheduler::time_point batched;
    scheduler::time_point arrived;
};

/// What a lane tells the engine, on the HTTP thread.
struct lane_events {
    std::function<void()> drained;     ///< A lane above its limit fell below it again.
    std::function<void()> bad_answer;  ///< A request's part of a step could not be read.
};

/// The way of tokens from the engine to one HTTP thread: one post per step, whatever the number of
/// streams. Spans are parsed on the HTTP thread, in the drain that receives them.
class delivery_lane : public std::enable_shared_from_this<delivery_lane> {
public:
    /// \param index of the HTTP thread.
    /// \param http where the streams of this lane are read.
    /// \param max_bytes above it the lane is full.
    delivery_lane(
        std::size_t index,
        boost::asio::any_io_executor http,
        std::size_t max_bytes,
        lane_events events);

    /// Order of posts is kept. \threads any.
    void post(delivery d);
    void post(notice n);
    void post(pooled_delivery d);

    /// More is waiting than the HTTP thread should be given. \threads any.
    bool is_full() const noexcept {
        return undelivered_.load(std::memory_order_relaxed) > max_bytes_;
    }

    /// Of a stream of this lane. HTTP thread.
    void note_bad_answer() const { events_.bad_answer(); }

    std::size_t index() const noexcept { return index_; }
    const boost::asio::any_io_executor& executor() const noexcept { return http_; }

private:
    using item = std::variant<delivery, notice, pooled_delivery>;
    struct owed_drain;
    void put(item i);
    void post_drain();
    void drain();
    void close();
    static void hand_over(delivery& d, std::vector<std::shared_ptr<stream_core>>& touched);

    std::size_t index_;
    boost::asio::any_io_executor http_;
    std::size_t max_bytes_;
    lane_events events_;
    std::atomic<std::size_t> undelivered_{0};
    std::mutex mutex_;
    std::vector<item> items_;
    bool is_drain_due_ = false;
    bool is_closed_ = false;      // its thread has ended: what comes is dropped
    std::vector<item> draining_;  // of the HTTP thread: keeps its capacity
    std::vector<std::shared_ptr<stream_core>> touched_;  // likewise
};

}  // namespace truffula::batching
