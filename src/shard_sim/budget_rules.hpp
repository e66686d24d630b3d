#pragma once

#include "shard_sim/options.hpp"
#include "shard_sim/prompt.hpp"
#include "shard_sim/violations.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace truffula::shard_sim {

/// What a live request takes from the budgets.
struct request_size {
    std::uint32_t prompt = 0;    ///< Tokens.
    std::uint32_t uncached = 0;  ///< Of these, to be computed.
    std::uint32_t now = 0;       ///< Of these, in its first step.
    std::uint32_t max_new = 0;   ///< Tokens.
};

/// The size of a request of a new batch.
request_size size_of(const wire::Request& request);

/// The limits that a router is told of, or tells.
class budget_rules {
public:
    explicit budget_rules(const model_options& options) : options_(options) {}

    void warmup(const wire::WarmupRequest& request, violation_log& log);

    /// Checks a new batch against what is live already.
    ///
    /// \param running the batch that does a step in the same call, as it was answered
    /// \param live sizes of all requests of live batches, the new ones left out
    /// \param held_blocks of all live requests, the new ones included (paged shards)
    void admit(
        const wire::Batch& batch,
        const wire::CachedBatch* running,
        const std::vector<request_size>& live,
        std::size_t held_blocks,
        violation_log& log) const;

    /// Checks a batch that is computed in one call: as above, the prompts alone.
    void check_prefill(
        const wire::Batch& batch,
        std::uint32_t running_tokens,
        const std::vector<request_size>& fresh,
        violation_log& log) const;

    bool warmed_up() const { return prefill_budget_.has_value(); }

private:
    model_options options_;
    std::optional<std::uint32_t> prefill_budget_;
};

}  // namespace truffula::shard_sim
