// Prefill: how new requests come to the shards, alone or beside a running batch.
#include "batching/engine_core.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace truffula::batching {

/// Prefills `batch`; with eager prefill also what fits after it, until nothing does.
asio::awaitable<void> engine_core::join(scheduler::scheduled_batch batch) {
    for (;;) {
        const bool joins = !cached_.empty();
        observer_.batch_formed(batch.entries().size(), joins, joins && rule_.is_overdue());
        if (joins) rule_.joined();
        co_await prefill(batch.commit(), false);
        if (!settings_.eager_prefill || cached_.empty() || !is_live()) co_return;
        auto more = co_await plan_join();
        if (!more) co_return;
        // In place of an assignment: a batch that is dropped returns its entries.
        std::destroy_at(&batch);
        std::construct_at(&batch, std::move(*more));
    }
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
    const auto batch = describe(wanted);
    std::uint64_t tokens = 0;
    for (const auto& e : wanted) tokens += e.what.what.what->input_length;
    auto call = group_->start_prefill(batch);
    deliver();
    auto answer = co_await call->get();
    check_batch(answer, batch.id);
    last_inference_succeeded_ = answer.has_value();
    const auto took = std::chrono::steady_clock::now() - started;
    if (answer) rule_.prefilled(tokens, took);
    if (answer) {
        co_await merge(std::move(wanted), started, std::move(*answer));
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
        co_await prefill_failed(std::move(wanted), batch.id, answer.error());
    }
}

/// The requests join the running batch only now, when their prefill has succeeded.
asio::awaitable<void> engine_core::merge(
    std::vector<scheduler::batch_entry> entries,
    scheduler::time_point batched,
    shard::step_answer answer) {
    std::vector<std::shared_ptr<scheduler::sink>> clients;
    for (const auto& e : entries) clients.push_back(e.what.what.to);
    const auto first = running_.size();
    running_.add(std::move(entries), batched);
    take(std::move(answer), first, "prefill", batched);
    // Those who left while the shards computed were not in the running batch yet.
    for (std::size_t i = 0; i < clients.size(); ++i) {
        if (clients[i]->abandoned()) running_.leave(running_.at(first + i).entry().id);
    }
    co_await drop_ended(first);
}

/// A shard's error does not tell whose fault it is: each request is tried alone, once.
asio::awaitable<void> engine_core::prefill_failed(
    std::vector<scheduler::batch_entry> entries, std::uint64_t batch_id, error why) {
    note_connection(why);
    if (!is_connected_) {
        for (auto& e : entries) requeue(e, why, false);
        co_return;
    }
    spdlog::warn("prefill of {} requests failed: {}", entries.size(), why.detail);
    auto cleared = co_await group_->clear_cache(batch_id);
    if (!cleared) note_connection(cleared.error());
    if (entries.size() == 1) {
        entries.front().what.what.to->fail(std::move(why));
        entries.front().is_answered = true;
        co_return;
    }
    for (auto& e : entries) {
        if (!is_live()) {
            requeue(e, why, false);
            continue;
        }
        std::vector<scheduler::batch_entry> alone;
        alone.push_back(std::move(e));
        co_await prefill(std::move(alone), true);
    }
}

shard::prefill_batch engine_core::describe(const std::vector<scheduler::batch_entry>& entries) {
    shard::prefill_batch batch;
    batch.id = next_batch_id_++;
    scheduler::batch_cost cost{running_.model()};
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
            r.slots = scheduled.blocks->slots();
            batch.max_blocks =
                std::max(batch.max_blocks, static_cast<std::uint32_t>(r.blocks.size()));
        }
        batch.requests.push_back(std::move(r));
    }
    // Padded models reserve the answers too; for paged ones the blocks do (contract 12.2).
    const bool is_paged = running_.model() == scheduler::cost_model::blocks;
    batch.max_tokens = static_cast<std::uint32_t>(is_paged ? cost.prefill() : cost.total());
    return batch;
}

}  // namespace truffula::batching
