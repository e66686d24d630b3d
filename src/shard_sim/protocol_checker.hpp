#pragma once

#include "shard_sim/adapter_rules.hpp"
#include "shard_sim/batches.hpp"
#include "shard_sim/block_ledger.hpp"
#include "shard_sim/budget_rules.hpp"
#include "shard_sim/call_rules.hpp"
#include "shard_sim/violations.hpp"

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <unordered_set>
#include <vector>

namespace truffula::shard_sim {

/// Marks a health check, which is outside of all batches.
inline constexpr auto health_id = std::numeric_limits<std::uint64_t>::max();

/// Watches what a router asks of a shard and what it was answered, and counts each step outside
/// the protocol. It changes nothing and refuses nothing.
///
/// `begin` and `end` are told as calls arrive and are answered; the others when a call has its
/// turn.
/// \threads one at a time.
class protocol_checker {
public:
    protocol_checker(const model_options& model, const adapter_options& adapters);

    call_rules::call_id begin(method m, std::optional<std::uint32_t> adapter_index = {});
    void end(call_rules::call_id id) { calls_.end(id); }
    void give_up(call_rules::call_id id) { calls_.give_up(id); }

    void warmup(const wire::WarmupRequest& request);
    void prefill(const wire::PrefillRequest& request);
    void decode(const wire::DecodeRequest& request);
    void filter(const wire::FilterBatchRequest& request);
    void clear(const wire::ClearCacheRequest& request);

    /// A batch of Embed or Classify, which lives for that call only.
    void compute(const wire::Batch& batch);

    /// A Prefill or Decode was computed.
    ///
    /// \param kept the batch as answered; nothing if it is gone
    void answered(
        std::uint64_t batch_id,
        std::span<const step_note> notes,
        const std::optional<wire::CachedBatch>& kept);
    /// A FilterBatch was.
    void answered(const wire::CachedBatch& kept);
    /// The shard lost a batch: the call failed.
    void lost(std::uint64_t batch_id) { drop(batch_id); }

    void download(const wire::DownloadAdapterRequest& r) { adapters_.download(r, log_); }
    void downloaded(const wire::DownloadAdapterRequest& r) { adapters_.downloaded(r); }
    void load(const wire::LoadAdapterRequest& r, double memory) { adapters_.load(r, memory, log_); }
    void loaded(const wire::LoadAdapterRequest& r, double memory) { adapters_.loaded(r, memory); }
    void offload(const wire::OffloadAdapterRequest& request);

    const violation_log& log() const { return log_; }
    const call_rules& calls() const { return calls_; }
    const adapter_rules& adapters() const { return adapters_; }
    std::size_t live_requests() const { return live_ids_.size(); }
    std::size_t peak_live_requests() const { return peak_live_; }
    std::size_t peak_blocks() const { return peak_blocks_; }
    std::uint64_t cached_tokens() const { return cached_tokens_; }
    std::uint64_t chunks() const { return chunks_; }

private:
    struct live_request {
        std::uint64_t id = 0;
        std::uint32_t adapter_index = 0;
        request_size size;
        std::uint32_t steps = 0;
        std::uint32_t generated = 0;
        std::uint32_t computed = 0;  ///< Tokens of its prompt.
        bool ended = false;
    };
    struct live_batch {
        std::vector<live_request> requests;
        std::optional<wire::CachedBatch> answer;  ///< As the router has it.
    };

    void check_head(const wire::Batch& batch);
    void take(const wire::Request& request, live_batch& into);
    void check_chunk(const wire::Request& request, const request_size& size);
    live_batch take_running(const wire::PrefillRequest& request);
    void claim_blocks(const wire::Request& request);
    bool check_named(const wire::CachedBatch& named, const char* method);
    void step(live_request& request);
    void forget(const live_request& request);
    void drop(std::uint64_t batch_id);
    std::vector<request_size> live_sizes() const;

    model_options model_;
    violation_log log_;
    call_rules calls_;
    budget_rules budgets_;
    adapter_rules adapters_;
    block_ledger blocks_;
    std::map<std::uint64_t, live_batch> batches_;
    std::set<std::uint64_t> live_ids_;
    std::unordered_set<std::uint64_t> seen_batches_;
    std::size_t peak_live_ = 0;
    std::size_t peak_blocks_ = 0;
    std::uint64_t cached_tokens_ = 0;  // of prompts, not computed
    std::uint64_t chunks_ = 0;         // requests that came with a part of their prompt
};

}  // namespace truffula::shard_sim
