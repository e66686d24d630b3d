// The batching coroutine: one for each group of shards (contract 12.3, design section 8).
#include "batching/engine_core.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <sched.h>
#include <utility>

namespace truffula::batching {
namespace {

constexpr auto tuple_awaitable = asio::as_tuple(asio::use_awaitable);

}  // namespace

asio::awaitable<void> engine_core::run(std::shared_ptr<engine_core> self) {
    try {
        co_await self->serve();
    } catch (const boost::system::system_error& e) {
        // How a stop ends a coroutine that waits; anything else is a bug.
        if (e.code() != asio::error::operation_aborted) throw;
    }
    self->ahead_.reset();
    self->deliver();
    for (auto& r : self->running_.remove_from(0)) {
        if (r->has_ended) {
            answer_ended(*r);
            continue;
        }
        r->owned.what.what.to->fail({errc::shutting_down, "the router is shutting down"});
        r->owned.is_answered = true;
    }
    self->probes_.clear();
    self->group_.reset();
    self->observer_.connected(false);
    spdlog::debug("the batching loop has ended");
}

asio::awaitable<void> engine_core::serve() {
    while (!is_stopping_) {
        stepped_.try_send(boost::system::error_code{});
        co_await serve_probes();
        if (!is_connected_) {
            co_await reconnect();
            continue;
        }
        std::vector<scheduler::adapter_key> nothing_in_use;
        auto batch = co_await scheduler.next_batch(
            std::move(nothing_in_use),
            std::nullopt,
            settings_.max_batch_prefill_tokens,
            total_token_budget_);
        if (!batch) co_return;
        const bool found = batch->has_value();
        if (found) co_await run_batch(std::move(**batch));
        if (!is_live()) continue;
        // Also after a batch that ended without a step.
        auto pooled = co_await plan_pooled(std::nullopt);
        if (pooled) {
            co_await pool(pooled->commit(), false);
        } else if (!found) {
            co_await wait_for_work();
        }
    }
}

asio::awaitable<void> engine_core::wait_for_work() {
    using namespace asio::experimental::awaitable_operators;
    if (!probes_.empty() || !is_connected_ || is_stopping_) co_return;
    co_await (scheduler.wait_runnable() || work_.async_receive(tuple_awaitable));
}

asio::awaitable<void> engine_core::run_batch(scheduler::scheduled_batch first) {
    is_computing_ = true;
    co_await join(std::move(first));
    while (!cached_.empty() && is_live()) {
        co_await step();
        if (!probes_.empty()) co_await serve_probes();
    }
    // Shards that were lost in a call beside the steps have lost the running batch, too.
    if (!cached_.empty() && !is_stopping_) co_await lose_batch(loss_);
    is_computing_ = false;
    deliver();
    observer_.running(0, 0);
}

/// One Decode, and whatever joins after it.
asio::awaitable<void> engine_core::step() {
    auto next = co_await decode(true);
    auto& joining = next.joining;
    if (next.pooled && is_live()) co_await pool(next.pooled->commit(), false);
    if (!ahead_ && !cached_.empty() && is_live()) {
        const bool is_too_large = joining && !still_fits(*joining);
        if (is_too_large) joining.reset();  // its requests go back before others are asked for
        // Who came while the shards computed need not wait for another step.
        if (is_too_large || (!joining && scheduler.has_news())) {
            auto late = co_await plan_join();
            if (late) joining.emplace(std::move(*late));
        } else if (joining && scheduler.has_news()) {
            auto late = co_await plan_more(*joining);
            if (late) joining->absorb(std::move(*late));
        }
    }
    if (joining && is_live()) co_await join(std::move(*joining));
    while (is_any_lane_full() && is_live()) {
        observer_.undelivered_wait();
        co_await drained_.async_receive(tuple_awaitable);
    }
}

/// One Decode. While the shards compute, all else is done; what is to follow is the result, if it
/// is asked for.
asio::awaitable<engine_core::planned> engine_core::decode(bool plans_more) {
    planned next;
    auto sent = std::exchange(ahead_, std::nullopt);
    if (!sent) {
        std::vector<const shard::cached_batch*> batches;
        batches.reserve(cached_.size());
        for (const auto& b : cached_) batches.push_back(&b);
        sent = send_decode(batches);
    }
    const auto started = sent->at;
    // A shard on this processor reads the call first.
    ::sched_yield();
    // The shards compute: now is the time for everything else.
    deliver();
    if (const auto gap = group_->last_step_gap()) observer_.step_gap(*gap);
    stepped_.try_send(boost::system::error_code{});
    if (plans_more) {
        auto joining = co_await plan_join();
        if (joining) next.joining.emplace(std::move(*joining));
        auto pooled = co_await plan_pooled(next.joining);
        if (pooled) next.pooled.emplace(std::move(*pooled));
        if (!next.joining && !next.pooled) {
            sent->call->on_answer([this](const auto& answer) { go_ahead(answer); });
        }
    }
    poll_within(forecast_.next(), started);
    auto answer = co_await sent->call->get();
    poller_->end();
    check_batch(answer, cached_.front().id);
    last_inference_succeeded_ = answer.has_value();
    if (!answer) {
        observer_.inference_done("decode", false, std::chrono::steady_clock::now() - started);
        co_await lose_batch(answer.error());
        co_return planned{};
    }
    take(std::move(*answer), 0, "decode", started);
    const auto time = undelivered_.back().arrived - started;
    rule_.decoded(time);
    forecast_.answered(time);
    // While the next step is under way the shards cannot be told: after it, then.
    if (!ahead_) co_await drop_ended(0);
    co_return std::move(next);
}

/// Prompt tokens that the next Prefill may compute. With chunks it does the running batch's next
/// step, too, and that takes its part.
std::uint32_t engine_core::prefill_tokens_left() const {
    auto left = settings_.max_batch_prefill_tokens;
    if (!chunks_) return left;
    for (const auto& batch : cached_) left -= std::min(left, batch.current_tokens);
    return left;
}

/// A batch was chosen for what the running one took before the last step; a prompt that is
/// computed in parts may take more in the next.
bool engine_core::still_fits(const scheduler::scheduled_batch& joining) const {
    return !chunks_ || joining.prefill_tokens() <= prefill_tokens_left();
}

/// The batch that is to join after this step, if there is one worth its prefill.
asio::awaitable<std::optional<scheduler::scheduled_batch>> engine_core::plan_join() {
    // Blocks are the allocator's to count: requests may share them.
    const bool has_blocks = running_.model() == scheduler::cost_model::blocks;
    const auto used = has_blocks ? 0 : running_.tokens();
    const auto left =
        used < total_token_budget_ ? static_cast<std::uint32_t>(total_token_budget_ - used) : 0U;
    const auto prefill_tokens = prefill_tokens_left();
    // A shared step costs those who run little, whatever joins it.
    const auto terms = chunks_ ? scheduler::join_terms{} : rule_.terms(running_.live());
    // With nothing left, too: asking tells which adapters are in use, and why others wait.
    auto batch = co_await scheduler.next_batch(running_.adapters(), terms, prefill_tokens, left);
    if (!batch) co_return std::nullopt;
    co_return std::move(*batch);
}

/// Who came since `joining` was chosen: its Prefill is paid for, so whoever fits goes with it. With
/// padding one more may make it longer for all: there they wait for the next.
asio::awaitable<engine_core::maybe_batch> engine_core::plan_more(
    const scheduler::scheduled_batch& joining) {
    if (running_.model() == scheduler::cost_model::padded) co_return std::nullopt;
    const bool has_blocks = running_.model() == scheduler::cost_model::blocks;
    const auto used = has_blocks ? 0 : running_.tokens() + joining.total_tokens();
    const auto computed = joining.prefill_tokens();
    const auto prefill_tokens = prefill_tokens_left();
    if (used >= total_token_budget_ || computed >= prefill_tokens) co_return std::nullopt;
    auto batch = co_await scheduler.next_batch(
        adapters_with(joining),
        std::nullopt,
        static_cast<std::uint32_t>(prefill_tokens - computed),
        static_cast<std::uint32_t>(total_token_budget_ - used));
    if (!batch) co_return std::nullopt;
    co_return std::move(*batch);
}

}  // namespace truffula::batching
