#pragma once

#include "truffula/kv_cache/block_allocator.hpp"
#include "truffula/scheduler/batch_cost.hpp"
#include "truffula/scheduler/entry.hpp"
#include "truffula/scheduler/scheduler_state.hpp"
#include "truffula/scheduler/wait_reason.hpp"

#include <cstdint>
#include <optional>
#include <variant>

namespace truffula::scheduler {

/// What is left of the budgets while a batch is formed. Pure.
class batch_room {
public:
    /// Budgets of one `next_batch`. What is referred to must outlive this.
    struct limits {
        std::uint64_t prefill_tokens = 0;  ///< For the new batch.
        std::uint64_t total_tokens = 0;    ///< Running requests included; not for blocks.
        bool cuts_prompts = false;         ///< What is left of the prefill takes part of a prompt.
        bool has_tenant_salt = false;      ///< Tenants do not share prefixes.
        std::uint64_t hash_seed = 0;
    };

    /// What was set aside for a request.
    struct reservation {
        std::optional<kv_cache::block_allocation> blocks;
        std::optional<std::uint32_t> chunk_len;  ///< Tokens of the prompt's first part.
    };

    /// \param blocks none: tokens are counted.
    batch_room(
        limits l, const batch_cost& running, std::optional<kv_cache::block_allocator>& blocks)
        : limits_(l), running_(running), blocks_(blocks), joining_(running.model()) {}

    /// Sets aside what `e` needs. If it does not fit: what it lacks, and no change.
    std::variant<reservation, wait_reason> take(entry& e, std::uint32_t adapter_index);

    /// Not even one token more can be computed, whatever the cache holds.
    bool is_prefill_used_up() const { return joining_.prefill_with(1) > limits_.prefill_tokens; }

    /// Of the running requests and the new ones together; not for blocks.
    std::uint64_t total_tokens() const { return limits_.total_tokens; }

private:
    /// Whenever a prompt was taken into the cache, all that wait for blocks might share it. To
    /// match each of them again would take longer than forming the batch; the first ones may, and
    /// all may when there are blocks enough without.
    static constexpr int most_second_looks = 4;

    std::optional<std::uint32_t> prefill_tokens_of(std::uint32_t to_compute) const;

    limits limits_;
    const batch_cost& running_;
    std::optional<kv_cache::block_allocator>& blocks_;
    batch_cost joining_;  // the new batch alone: what it has to compute
    int second_looks_ = 0;
};

}  // namespace truffula::scheduler
