#pragma once

#include "batching/delivery_lane.hpp"
#include "truffula/inference/token_stream.hpp"
#include "truffula/scheduler/entry.hpp"

#include <boost/asio/experimental/channel.hpp>
#include <boost/system/error_code.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace truffula::batching {

/// What engine and HTTP thread share of one request. The engine holds it as the `sink` of the
/// request's entry; all but `fail` and `abandoned` belongs to the HTTP thread.
class stream_core final : public scheduler::sink, public std::enable_shared_from_this<stream_core> {
public:
    /// \param max_waiting_bytes what may pile up before a slow reader: beyond it the stream ends.
    /// \param cancel tells the engine that the client left; called on the HTTP thread.
    stream_core(
        scheduler::request_id id,
        std::shared_ptr<delivery_lane> lane,
        std::size_t max_waiting_bytes,
        std::function<void(scheduler::request_id)> cancel);

    void fail(error why) override;

    /// Ends it with its whole answer.
    void finish(
        std::shared_ptr<const inference::pooled_answer> answer,
        scheduler::time_point batched,
        scheduler::time_point arrived);

    /// Its steps so far are void: the shards lost it, and it was queued again.
    void start_over();

    bool abandoned() const noexcept override {
        return is_abandoned_.load(std::memory_order_relaxed);
    }

    scheduler::request_id id() const noexcept { return id_; }
    std::size_t lane_index() const noexcept { return lane_->index(); }

    // HTTP thread from here on.

    /// Takes a step; one that cannot be read ends the stream and cancels the request.
    void take(std::string_view generation, const delivery& from, scheduler::time_point batched);
    void take(const pooled_delivery& whole);
    void end(error why);
    void restart();
    void leave();
    void wake();

    boost::asio::awaitable<result<std::optional<inference::step>>> next();
    std::optional<inference::step> poll();

    inference::timeline times;

private:
    struct waiting_step {
        inference::step what;
        std::size_t bytes;
    };
    bool has_ended() const noexcept { return failure_.has_value() || is_complete_; }
    void give_up(error why);
    void forget_ready();

    scheduler::request_id id_;
    std::shared_ptr<delivery_lane> lane_;
    std::size_t max_waiting_bytes_;
    std::function<void(scheduler::request_id)> cancel_;
    std::atomic<bool> is_abandoned_{false};

    std::vector<waiting_step> ready_;  // from `taken_` on; holds no memory when all are taken
    std::size_t taken_ = 0;
    std::size_t waiting_bytes_ = 0;
    std::size_t untaken_bytes_ = 0;  // of these: the reader was woken for them before
    std::optional<error> failure_;
    bool is_complete_ = false;  // the last step was received
    boost::asio::experimental::channel<void(boost::system::error_code)> wake_;
};

/// The client's end of a `stream_core`.
class client_stream final : public inference::token_stream {
public:
    explicit client_stream(std::shared_ptr<stream_core> core) : core_(std::move(core)) {}
    ~client_stream() override { core_->leave(); }

    boost::asio::awaitable<result<std::optional<inference::step>>> next() override {
        return core_->next();
    }
    std::optional<inference::step> poll() override { return core_->poll(); }
    const inference::timeline& times() const override { return core_->times; }

private:
    std::shared_ptr<stream_core> core_;
};

}  // namespace truffula::batching
