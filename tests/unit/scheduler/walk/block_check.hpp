#pragma once

#include "support/random_walk.hpp"
#include "truffula/scheduler/scheduler_state.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <vector>

namespace truffula::test {

/// Each block is free, cached or used; what one request writes, nobody else holds (design
/// section 7).
///
/// \param pooled requests that are computed in one call and leave no answer in blocks.
inline void check_blocks(
    const std::optional<kv_cache::block_counts>& counts,
    const scheduler::shard_limits& limits,
    bool has_cache,
    std::span<const scheduler::scheduled_entry> running,
    std::span<const scheduler::scheduled_entry> pooled) {
    const bool has_blocks = limits.model == scheduler::cost_model::blocks;
    expect(counts.has_value() == has_blocks, "counts or none");
    if (!counts) return;
    std::set<std::uint32_t> all;
    std::set<std::uint32_t> written;    // from now on, or until its prompt was computed
    std::set<std::uint32_t> only_mine;  // behind its prompt
    std::map<std::uint32_t, std::size_t> holders;
    const auto add = [&](const scheduler::scheduled_entry& r) {
        const auto blocks = r.blocks->blocks();
        const auto cached = r.cached_tokens() / limits.block_size;
        // An answer of no tokens, which only walks ask for, leaves the last one unwritten.
        const auto whole =
            std::min<std::size_t>(r.what.what->input_length / limits.block_size, blocks.size());
        all.insert(blocks.begin(), blocks.end());
        for (const auto b : blocks) ++holders[b];
        for (const auto b : blocks.subspan(cached)) {
            expect(written.insert(b).second, "two requests write a block");
        }
        for (const auto b : blocks.subspan(std::max<std::size_t>(cached, whole))) {
            only_mine.insert(b);
        }
    };
    for (const auto& r : running) add(r);
    for (const auto& r : pooled) add(r);
    for (const auto b : only_mine) expect(holders[b] == 1, "a block of answers is shared");
    expect(!all.contains(0), "the block of health checks was given out");
    const auto usable = limits.total_token_budget / limits.block_size - 1;
    expect(counts->free + counts->cached + counts->used == usable, "blocks do not add up");
    expect(counts->used >= all.size(), "a block is held and counted as free");
    const bool is_idle = running.empty() && pooled.empty();
    expect(!is_idle || counts->used == 0, "blocks are used by nobody");
    expect(has_cache || counts->cached == 0, "cached against the settings");
}

}  // namespace truffula::test
