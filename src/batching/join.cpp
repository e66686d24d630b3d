// Prefill: how new requests come to the shards, alone or beside a running batch.
#include "batching/engine_core.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace truffula::batching {

/// Prefills `batch`; with eager prefill also what fits after it, until nothing does.
asio::awaitable<void> engine_core::join(scheduler::scheduled_batch batch) {
    for (;;) {
        observer_.batch_formed(batch.entries().size(), reason_to_join());
        if (!cached_.empty()) rule_.joined();
        co_await prefill(batch.commit(), false);
        if (!settings_.eager_prefill || cached_.empty() || !is_live()) co_return;
        auto more = co_await plan_join();
        if (!more) co_return;
        // In place of an assignment: a batch that is dropped returns its entries.
        std::destroy_at(&batch);
        std::construct_at(&batch, std::move(*more));
    }
}

join_reason engine_core::reason_to_join() const {
    if (cached_.empty()) return join_reason::none;
    if (chunks_) return join_reason::chunking;
    return rule_.is_overdue() ? join_reason::wait_exceeded : join_reason::backpressure;
}

/// Those whose clients have not left.
std::vector<scheduler::batch_entry> engine_core::still_wanted(
    std::vector<scheduler::batch_entry> entries) {
    std::vector<scheduler::batch_entry> wanted;
    for (auto& e : entries) {
        if (!e.what.what.to->abandoned()) {
            wanted.push_back(std::move(e));
        } else {
            e.is_answered = true;
        }
    }
    return wanted;
}

asio::awaitable<void> engine_core::prefill(
    std::vector<scheduler::batch_entry> entries, bool is_retry) {
    auto wanted = still_wanted(std::move(entries));
    if (wanted.empty()) co_return;
    const auto started = std::chrono::steady_clock::now();
    auto batch = describe(wanted);
    // A second try is made beside the running batch, which another failure would cost.
    const bool shared_step = chunks_ && cached_.size() == 1 && !is_retry;
    std::optional<std::uint64_t> running_id;
    if (shared_step) {
        batch.running = &cached_.front();
        running_id = cached_.front().id;
    }
    std::uint64_t tokens = 0;
    for (const auto& e : wanted) tokens += e.what.prefill_tokens();
    auto call = group_->start_prefill(batch);
    deliver();
    auto answer = co_await call->get();
    check_batch(answer, batch.id, running_id);
    last_inference_succeeded_ = answer.has_value();
    const auto took = std::chrono::steady_clock::now() - started;
    if (answer && !shared_step) rule_.prefilled(tokens, took);
    if (answer) {
        co_await merge(std::move(wanted), started, shared_step, std::move(*answer));
        co_return;
    }
    observer_.inference_done("prefill", false, took);
    if (is_retry && is_live() && answer.error().code == errc::rpc_failed) {
        auto cleared = co_await group_->clear_cache(batch.id);
        if (!cleared) note_connection(cleared.error());
        for (auto& e : wanted) {
            e.what.what.to->fail(answer.error());
            e.is_answered = true;
        }
    } else {
        co_await prefill_failed(std::move(wanted), batch.id, shared_step, answer.error());
    }
}

/// The requests join the running batch only now, when their prefill has succeeded. If they shared a
/// step with it, the answer is about all.
asio::awaitable<void> engine_core::merge(
    std::vector<scheduler::batch_entry> entries,
    scheduler::time_point batched,
    bool shared_step,
    shard::step_answer answer) {
    std::vector<std::shared_ptr<scheduler::sink>> clients;
    clients.reserve(entries.size());
    for (const auto& e : entries) clients.push_back(e.what.what.to);
    const auto joined = running_.size();
    const auto first = shared_step ? 0 : joined;
    running_.add(std::move(entries), batched);
    take(std::move(answer), first, "prefill", batched);
    // Those who left while the shards computed were not in the running batch yet.
    for (std::size_t i = 0; i < clients.size(); ++i) {
        if (clients[i]->abandoned()) running_.leave(running_.at(joined + i).entry().id);
    }
    co_await drop_ended(first);
}

/// A shard's error does not tell whose fault it is: each request is tried alone, once.
///
/// A step that was shared may have cost the running batch: a Decode of it tells.
asio::awaitable<void> engine_core::prefill_failed(
    std::vector<scheduler::batch_entry> entries,
    std::uint64_t batch_id,
    bool shared_step,
    error why) {
    note_connection(why);
    if (!is_connected_) {
        for (auto& e : entries) requeue(e, why, false);
        co_return;
    }
    spdlog::warn("prefill of {} requests failed: {}", entries.size(), why.detail);
    auto cleared = co_await group_->clear_cache(batch_id);
    if (!cleared) note_connection(cleared.error());
    if (shared_step && is_live()) co_await decode(false);
    if (entries.size() == 1) {
        entries.front().what.what.to->fail(std::move(why));
        entries.front().is_answered = true;
        co_return;
    }
    co_await try_alone(std::move(entries), std::move(why), &engine_core::prefill);
}

shard::prefill_batch engine_core::describe(const std::vector<scheduler::batch_entry>& entries) {
    shard::prefill_batch batch;
    batch.id = next_batch_id_++;
    scheduler::batch_cost cost{running_.model()};
    std::uint64_t computed = 0;  // prompt tokens, here and now
    for (const auto& e : entries) {
        const auto& scheduled = e.what;
        const auto& what = *scheduled.what.what;
        const auto& from = *scheduled.what.adapter;
        cost.add(what.input_length, what.stopping.max_new_tokens);
        shard::prefill_request r;
        r.id = scheduled.what.id;
        r.what = &what;
        if (from.is_single && !from.is_base()) r.adapter_id = from.what.ids.front();
        r.adapter_index = scheduled.adapter_index;
        if (scheduled.blocks) {
            r.blocks = scheduled.blocks->blocks();
            r.block_size = scheduled.blocks->block_size();
            r.slot_count = scheduled.blocks->slot_count();
            r.cache_len = scheduled.cached_tokens();
            batch.max_blocks =
                std::max(batch.max_blocks, static_cast<std::uint32_t>(r.blocks.size()));
        }
        r.chunk_len = scheduled.chunk_len;
        computed += scheduled.prefill_tokens();
        batch.requests.push_back(std::move(r));
    }
    // Padded models reserve the answers too; for paged ones the blocks do (contract 12.2).
    const bool is_paged = running_.model() == scheduler::cost_model::blocks;
    batch.max_tokens = static_cast<std::uint32_t>(is_paged ? computed : cost.total());
    return batch;
}

}  // namespace truffula::batching
