#pragma once

#include "batching/answer_forecast.hpp"
#include "batching/busy_poller.hpp"
#include "batching/delivery_lane.hpp"
#include "batching/running_batch.hpp"
#include "batching/stream_core.hpp"
#include "truffula/actor/oneshot.hpp"
#include "truffula/batching/engine.hpp"
#include "truffula/scheduler/adapter_scheduler.hpp"
#include "truffula/scheduler/join_rule.hpp"
#include "truffula/shard/shard_group.hpp"

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/experimental/channel.hpp>

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <vector>

namespace truffula::batching {

namespace asio = boost::asio;

/// The limits a scheduler keeps for the shards of `group`.
scheduler::shard_limits limits_of(
    const shard::started_group& group,
    std::uint32_t prefill_token_budget,
    std::uint32_t total_token_budget);

/// The engine of one shard group: the batching coroutine and what it works on (design section 8).
/// Everything but the atomics and `shared_` belongs to the engine's thread.
class engine_core : public std::enable_shared_from_this<engine_core> {
public:
    engine_core(
        asio::any_io_executor ex,
        engine_settings settings,
        shard::started_group group,
        std::uint32_t total_token_budget,
        engine_observer& observer);

    void start();
    void stop();

    /// A client left. \threads the engine's.
    void leave(scheduler::request_id id);

    /// A lane that was full has room again. \threads the engine's.
    void drained() { drained_.try_send(boost::system::error_code{}); }

    /// An answer, or a request's part of it, cannot be read.
    void bad_answer() { observer_.protocol_error("bad_answer", 1); }

    void probe_health(reply<void> to);

    std::vector<std::shared_ptr<delivery_lane>> lanes;
    scheduler::adapter_scheduler scheduler;
    asio::any_io_executor executor;
    std::atomic<scheduler::request_id> next_request_id{0};
    std::atomic<bool> has_pooled{false};  // a request that does not generate ever came

    /// \threads any.
    std::size_t max_stream_bytes() const noexcept { return settings_.max_stream_bytes; }

    /// What HTTP threads may ask for.
    struct shared_facts {
        shard::model_info model;
        std::uint32_t total_token_budget = 0;
    };
    shared_facts facts() const;

private:
    using signal = asio::experimental::channel<void(boost::system::error_code)>;

    using maybe_batch = std::optional<scheduler::scheduled_batch>;
    /// What is to follow a step.
    struct planned {
        maybe_batch joining;
        maybe_batch pooled;
    };

    /// An answer whose tokens wait for the next call to be under way.
    struct undelivered {
        shard::step_answer answer;
        std::vector<std::size_t> where;  // the request of each span
        std::string_view method;         // what was answered, for the metrics
        scheduler::time_point started;
        scheduler::time_point arrived;
    };

    /// A Decode under way.
    struct sent_decode {
        shard::shard_group::started_step call;
        scheduler::time_point at;
    };

    // loop.cpp: the batching coroutine
    static asio::awaitable<void> run(std::shared_ptr<engine_core> self);
    asio::awaitable<void> serve();
    asio::awaitable<void> wait_for_work();
    asio::awaitable<void> run_batch(scheduler::scheduled_batch first);
    asio::awaitable<void> step();
    asio::awaitable<planned> decode(bool plans_more);
    asio::awaitable<std::optional<scheduler::scheduled_batch>> plan_join();
    asio::awaitable<maybe_batch> plan_more(const scheduler::scheduled_batch& joining);
    std::uint32_t prefill_tokens_left() const;
    bool still_fits(const scheduler::scheduled_batch& joining) const;

    // go_ahead.cpp: steps that follow by themselves
    void poll_within(std::optional<answer_forecast::window> due, busy_poller::time_point sent);
    sent_decode send_decode(std::span<const shard::cached_batch* const> batches);
    bool needs_only_another_step(const result<shard::step_answer>& answer) const;
    void go_ahead(const result<shard::step_answer>& answer);
    bool is_any_lane_full() const;

    // join.cpp: Prefill
    asio::awaitable<void> join(scheduler::scheduled_batch batch);
    static std::vector<scheduler::batch_entry> still_wanted(
        std::vector<scheduler::batch_entry> entries);
    asio::awaitable<void> prefill(std::vector<scheduler::batch_entry> entries, bool is_retry);
    asio::awaitable<void> prefill_failed(
        std::vector<scheduler::batch_entry> entries,
        std::uint64_t batch_id,
        bool shared_step,
        error why);
    asio::awaitable<void> merge(
        std::vector<scheduler::batch_entry> entries,
        scheduler::time_point batched,
        bool shared_step,
        shard::step_answer answer);
    join_reason reason_to_join() const;
    shard::prefill_batch describe(const std::vector<scheduler::batch_entry>& entries);

    // pooled.cpp: Embed and Classify
    std::vector<scheduler::adapter_key> adapters_with(
        const scheduler::scheduled_batch& joining) const;
    asio::awaitable<maybe_batch> plan_pooled(const maybe_batch& joining);
    asio::awaitable<void> pool(std::vector<scheduler::batch_entry> entries, bool is_retry);
    asio::awaitable<void> pool_failed(std::vector<scheduler::batch_entry> entries, error why);
    void hand_over(
        std::vector<scheduler::batch_entry>& entries,
        scheduler::time_point batched,
        const std::vector<shard::pooled_result>& answers);

    // answers.cpp: what an answer does to the running batch
    void check_batch(
        result<shard::step_answer>& answer,
        std::uint64_t expected,
        std::optional<std::uint64_t> or_else = std::nullopt);
    void take(
        shard::step_answer answer,
        std::size_t first,
        std::string_view method,
        scheduler::time_point started);
    asio::awaitable<void> drop_ended(std::size_t first);
    bool is_held_up() const;
    void hand_out();
    void deliver();
    static void answer_ended(running_request& r);
    static void confirm_prompt(running_request& r, const shard::generation_span& span);
    void hand_over(running_request& r, std::string_view bytes, std::vector<delivery>& out);

    // recovery.cpp: when shards fail
    asio::awaitable<void> lose_batch(error why);
    void give_up_calls();
    asio::awaitable<void> reconnect();
    bool requeue(scheduler::batch_entry& owned, const error& why, bool was_delivered);
    using computing_call = asio::awaitable<void> (engine_core::*)(
        std::vector<scheduler::batch_entry> entries, bool is_retry);
    asio::awaitable<void> try_alone(
        std::vector<scheduler::batch_entry> entries, error why, computing_call how);
    void note_connection(const error& why);

    // probes.cpp: health
    asio::awaitable<void> serve_probes();
    static asio::awaitable<void> probe(std::shared_ptr<engine_core> self, reply<void> to);

    // adapter_calls.cpp: the scheduler's effects
    static asio::awaitable<void> run_adapter_calls(std::shared_ptr<engine_core> self);
    static asio::awaitable<void> make_call(std::shared_ptr<engine_core> self, adapter::call what);

    /// Runs beside the loop until it ends by itself or the engine stops.
    void spawn_beside(asio::awaitable<void> work);

    void publish(const shard::model_info& info, std::uint32_t total_token_budget);
    bool is_live() const { return is_connected_ && !is_stopping_; }

    engine_settings settings_;
    engine_observer& observer_;
    std::shared_ptr<shard::shard_group> group_;
    std::uint32_t total_token_budget_;

    bool is_computing_ = false;  // a batch, from its Prefill to its last step
    bool chunks_ = false;        // prompts are computed in parts, in the steps of the running batch
    running_batch running_;
    std::vector<shard::cached_batch> cached_;  // as the shards know the running batch
    std::optional<sent_decode> ahead_;         // the next step, where it needed no thought
    std::deque<undelivered> undelivered_;
    scheduler::join_rule rule_;
    answer_forecast forecast_;
    std::shared_ptr<busy_poller> poller_;
    std::uint64_t next_batch_id_ = 0;

    signal work_;     // wakes the idle loop
    signal drained_;  // wakes a step that waits for delivery
    signal stepped_;  // lets the next adapter call go
    std::deque<reply<void>> probes_;
    std::optional<bool> last_inference_succeeded_;
    bool is_connected_ = true;
    error loss_;  // why it is not
    bool is_stopping_ = false;
    asio::cancellation_signal stop_loop_;
    asio::cancellation_signal stop_calls_;
    std::set<std::shared_ptr<asio::cancellation_signal>> beside_;

    mutable std::mutex shared_mutex_;
    shared_facts shared_;
};

}  // namespace truffula::batching
