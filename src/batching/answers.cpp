// What the shards' answers do to the running batch, and how tokens leave the engine.
#include "batching/engine_core.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace truffula::batching {
namespace {

/// Before its client is told of the end: the client's next request may be here before this thread
/// goes on.
void give_place_back(running_request& r) {
    r.owned.what.what.admission = {};
}

/// A FilterBatch is needed when the shards still hold a request that has ended.
bool holds_more_than(const shard::cached_batch& batch, std::size_t left) {
    return batch.request_ids.size() != left;
}

}  // namespace

/// An answer about another batch than the one that was asked for cannot be gone on with.
/// With chunks two batches become one, under the id of either.
void engine_core::check_batch(
    result<shard::step_answer>& answer,
    std::uint64_t expected,
    std::optional<std::uint64_t> or_else) {
    if (!answer && answer.error().code == errc::protocol) bad_answer();
    if (!answer || !answer->batch || answer->batch->id == expected) return;
    if (answer->batch->id == or_else) return;
    observer_.protocol_error("other_batch", 1);
    answer = error{errc::protocol, "the shards answered with another batch"};
}

/// In the gap: marks what ended, keeps the answer for `deliver`. A Decode replaces what the shards
/// know of the batch (`first` 0), a Prefill adds to it.
void engine_core::take(
    shard::step_answer answer,
    std::size_t first,
    std::string_view method,
    scheduler::time_point started) {
    undelivered u;
    u.method = method;
    u.started = started;
    u.arrived = std::chrono::steady_clock::now();
    const auto wrong = running_.apply(answer, first, u.where);
    if (first == 0) cached_.clear();
    if (answer.batch) cached_.push_back(std::move(*answer.batch));
    u.answer = std::move(answer);
    undelivered_.push_back(std::move(u));
    if (wrong.total() == 0) return;
    spdlog::warn(
        "the shards' answer broke the protocol: {} unknown, {} doubled, {} missing, {} too long",
        wrong.unknown_request,
        wrong.answered_twice,
        wrong.not_answered,
        wrong.too_many_steps);
    observer_.protocol_error("unknown_request", wrong.unknown_request);
    observer_.protocol_error("answered_twice", wrong.answered_twice);
    observer_.protocol_error("not_answered", wrong.not_answered);
    observer_.protocol_error("too_many_steps", wrong.too_many_steps);
}

/// Tells the shards which requests of the newest cached batch are gone (contract 12.3 B).
asio::awaitable<void> engine_core::drop_ended(std::size_t first) {
    const auto left = running_.live_from(first);
    running_.mark_dropped(first);
    const bool has_batch = undelivered_.back().answer.batch.has_value();
    if (!has_batch) {
        if (left == 0) co_return;
        observer_.protocol_error("no_batch", 1);
        co_await lose_batch({errc::protocol, "the shards forgot the running batch"});
        co_return;
    }
    auto& batch = cached_.back();
    if (left == 0) {
        const auto id = batch.id;
        cached_.pop_back();
        if (cached_.empty() || is_held_up()) hand_out();
        auto cleared = co_await group_->clear_cache(id);
        if (!cleared) note_connection(cleared.error());
        co_return;
    }
    if (!holds_more_than(batch, left)) co_return;
    const auto ids = running_.ids_left(first);
    const auto sent = std::chrono::steady_clock::now();
    auto call = group_->start_filter(batch.id, ids);
    const auto due = forecast_.next_filter();
    if (!due || is_held_up()) hand_out();  // else the next Decode goes first
    poll_within(due, sent);
    auto filtered = co_await call->get();
    poller_->end();
    forecast_.filtered(std::chrono::steady_clock::now() - sent);
    if (!filtered) {
        co_await lose_batch(filtered.error());
        co_return;
    }
    cached_.back() = std::move(*filtered);
}

/// Whether a call waits for others than steps: shards that serve one call at a time do an adapter
/// call first, which takes as long as a download.
bool engine_core::is_held_up() const {
    return settings_.paced_adapter_calls && !beside_.empty();
}

/// Posts the tokens of all answers that wait: one post for each HTTP thread.
void engine_core::hand_out() {
    while (!undelivered_.empty()) {
        auto u = std::move(undelivered_.front());
        undelivered_.pop_front();
        observer_.inference_done(u.method, true, u.arrived - u.started);
        std::vector<delivery> out(lanes.size());
        for (std::size_t i = 0; i < u.answer.spans.size(); ++i) {
            if (u.where[i] == running_batch::nobody) continue;
            const auto& span = u.answer.spans[i];
            auto& r = running_.at(u.where[i]);
            confirm_prompt(r, span);
            const auto& what = *r.entry().what;
            const bool is_wanted = what.every_step || span.finished || !r.was_delivered;
            if (r.failure || !is_wanted) continue;
            const std::string_view buffer = *u.answer.buffers[span.buffer];
            hand_over(r, buffer.substr(span.offset, span.length), out);
            if (span.has_tokens && what.is_streamed) r.has_emitted = true;
            if (span.finished) r.owned.is_answered = true;
            if (span.finished && r.is_dropped) give_place_back(r);
        }
        for (std::size_t lane = 0; lane < out.size(); ++lane) {
            if (out[lane].spans.empty()) continue;
            out[lane].arrived = u.arrived;
            out[lane].buffers = u.answer.buffers;
            lanes[lane]->post(std::move(out[lane]));
        }
    }
}

/// Hands out the tokens, and takes back what those held whom the shards have dropped.
void engine_core::deliver() {
    hand_out();
    for (auto& r : running_.remove_dropped()) {
        const auto& owned = r->owned;
        if (owned.is_answered && !r->failure) {
            observer_.finished(r->entry(), owned.held.generated_tokens());
        }
        answer_ended(*r);
    }
    observer_.running(running_.size(), running_.tokens());
}

/// Its client has its last step, or gets its error now, or has left.
void engine_core::answer_ended(running_request& r) {
    auto& owned = r.owned;
    give_place_back(r);
    if (r.failure && !owned.is_answered) owned.what.what.to->fail(*r.failure);
    owned.is_answered = true;
}

/// The first token proves that the whole prompt was computed: others may share it from now on.
void engine_core::confirm_prompt(running_request& r, const shard::generation_span& span) {
    if (!span.has_tokens || r.failure || std::exchange(r.is_confirmed, true)) return;
    auto& scheduled = r.owned.what;
    if (scheduled.blocks) scheduled.blocks->confirm(scheduled.what.what->input_ids);
}

void engine_core::hand_over(
    running_request& r, std::string_view bytes, std::vector<delivery>& out) {
    auto to = std::static_pointer_cast<stream_core>(r.entry().to);
    auto& lane = out[to->lane_index()];
    lane.bytes += bytes.size();
    lane.spans.push_back({std::move(to), bytes, r.batched});
    r.was_delivered = true;
}

}  // namespace truffula::batching
