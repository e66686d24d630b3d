// Embed and Classify: calls of their own between steps, which leave the running batch alone
// (design section 5, rule 6).
#include "batching/engine_core.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace truffula::batching {
namespace {

using inference::task;

std::shared_ptr<stream_core> client_of(const scheduler::batch_entry& e) {
    return std::static_pointer_cast<stream_core>(e.what.what.to);
}

void fail(scheduler::batch_entry& e, const error& why) {
    e.what.what.to->fail(why);
    e.is_answered = true;
}

}  // namespace

/// The adapters of the running batch and of one that is about to join it.
std::vector<scheduler::adapter_key> engine_core::adapters_with(
    const scheduler::scheduled_batch& joining) const {
    auto in_use = running_.adapters();
    for (const auto& e : joining.entries()) in_use.push_back(e.key);
    std::ranges::sort(in_use);
    in_use.erase(std::ranges::unique(in_use).begin(), in_use.end());
    return in_use;
}

/// At most one such batch goes between two steps: so neither they nor the running requests wait
/// for more than one call of the other kind, and a prefill.
asio::awaitable<engine_core::maybe_batch> engine_core::plan_pooled(const maybe_batch& joining) {
    if (!has_pooled) co_return std::nullopt;
    auto in_use = joining ? adapters_with(*joining) : running_.adapters();
    auto batch =
        co_await scheduler.next_pooled_batch(std::move(in_use), settings_.max_batch_prefill_tokens);
    if (!batch) co_return std::nullopt;
    co_return std::move(*batch);
}

asio::awaitable<void> engine_core::pool(
    std::vector<scheduler::batch_entry> entries, bool is_retry) {
    auto wanted = still_wanted(std::move(entries));
    if (wanted.empty()) co_return;
    const bool embeds = wanted.front().what.what.what->kind == task::embed;
    const auto started = std::chrono::steady_clock::now();
    const auto batch = describe(wanted);
    observer_.batch_formed(wanted.size(), join_reason::none);
    auto call = embeds ? group_->start_embed(batch) : group_->start_classify(batch);
    deliver();
    auto answer = co_await call->get();
    last_inference_succeeded_ = answer.has_value();
    observer_.inference_done(
        embeds ? "embed" : "classify",
        answer.has_value(),
        std::chrono::steady_clock::now() - started);
    if (answer) {
        hand_over(wanted, started, *answer);
    } else if (is_retry && is_live() && answer.error().code == errc::rpc_failed) {
        fail(wanted.front(), answer.error());
    } else {
        co_await pool_failed(std::move(wanted), answer.error());
    }
}

void engine_core::hand_over(
    std::vector<scheduler::batch_entry>& entries,
    scheduler::time_point batched,
    const std::vector<shard::pooled_result>& answers) {
    const auto arrived = std::chrono::steady_clock::now();
    std::unordered_map<scheduler::request_id, scheduler::batch_entry*> waiting;
    for (auto& e : entries) waiting.emplace(e.what.what.id, &e);
    std::uint32_t unknown = 0;
    for (const auto& a : answers) {
        const auto found = waiting.find(a.request_id);
        if (found == waiting.end()) {
            ++unknown;
            continue;
        }
        auto& e = *found->second;
        if (a.answer) {
            client_of(e)->finish(*a.answer, batched, arrived);
            e.is_answered = true;
        } else {
            bad_answer();
            fail(e, a.answer.error());
        }
        waiting.erase(found);
    }
    for (auto& [id, e] : waiting) {
        fail(*e, {errc::protocol, "the shards did not answer the request"});
    }
    if (unknown == 0 && waiting.empty()) return;
    spdlog::warn(
        "the shards' answer broke the protocol: {} unknown, {} missing", unknown, waiting.size());
    observer_.protocol_error("unknown_request", unknown);
    observer_.protocol_error("not_answered", static_cast<std::uint32_t>(waiting.size()));
}

/// As after a Prefill that failed: each request is tried alone, once. The running batch goes on.
asio::awaitable<void> engine_core::pool_failed(
    std::vector<scheduler::batch_entry> entries, error why) {
    note_connection(why);
    if (!is_connected_) {
        for (auto& e : entries) requeue(e, why, false);
        co_return;
    }
    spdlog::warn("a call for {} requests failed: {}", entries.size(), why.detail);
    if (entries.size() == 1) {
        fail(entries.front(), why);
        co_return;
    }
    co_await try_alone(std::move(entries), std::move(why), &engine_core::pool);
}

}  // namespace truffula::batching
