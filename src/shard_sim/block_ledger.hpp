#pragma once

#include "shard_sim/violations.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

namespace truffula::shard_sim {

/// The memory of one request, as it came with its Prefill.
struct block_claim {
    std::uint64_t request_id = 0;
    std::uint64_t weights = 0;  ///< Tells apart the weights that keys and values depend on.
    std::span<const std::uint32_t> prompt;
    std::span<const std::uint32_t> blocks;
    std::span<const std::uint32_t> slots;
    std::uint32_t cache_len = 0;  ///< Tokens of the prompt that are in the first blocks already.
    std::uint32_t max_new_tokens = 0;
};

/// Who holds, who writes and what is in the blocks of a paged shard.
///
/// Each block remembers the version that its last write made and, while it holds only tokens of a
/// prompt, a hash of all tokens up to its end: so a block from the cache is compared token by
/// token, and a step that reads what another request wrote meanwhile is seen.
class block_ledger {
public:
    /// \param block_count blocks there are, block 0 included; nothing if it is not known
    block_ledger(
        std::uint32_t block_size, std::uint32_t speculate, std::optional<std::uint32_t> block_count)
        : block_size_(block_size), speculate_(speculate), block_count_(block_count) {}

    /// A request comes: checks its claim. Its prompt is not computed yet.
    void take(const block_claim& claim, violation_log& log);

    /// The first `computed` tokens of its prompt are in memory now: writes those that are new.
    void compute(std::uint64_t request_id, std::uint32_t computed);

    /// A step reads all of the request's memory, then writes the token before, and speculation.
    ///
    /// \param generated tokens answered before this step, at least 1
    void step(std::uint64_t request_id, std::uint32_t generated, violation_log& log);

    void release(std::uint64_t request_id);

    std::size_t held_blocks() const { return holders_.size(); }
    std::uint32_t block_size() const { return block_size_; }

private:
    struct content {
        std::uint64_t version = 0;
        std::uint64_t hash = 0;    ///< Of the prompt up to the last token in the block; 0: unknown.
        std::uint32_t filled = 0;  ///< Tokens of a prompt in the block.
    };
    struct holder {
        std::uint64_t request_id = 0;
        bool writes = false;
    };
    struct holding {
        std::vector<std::uint32_t> blocks;
        std::vector<std::uint64_t> versions;  ///< What the request last saw in each.
        std::vector<std::uint32_t> prompt;
        std::uint64_t hash = 0;      ///< Of what is computed.
        std::uint32_t computed = 0;  ///< Tokens of the prompt, those from the cache included.
    };

    void check_layout(const block_claim& claim, violation_log& log) const;
    void check_slots(const block_claim& claim, std::uint32_t needed, violation_log& log) const;
    void check_cached(const block_claim& claim, violation_log& log) const;
    void hold(const block_claim& claim, violation_log& log);
    std::uint64_t touch(std::uint32_t block, std::uint64_t hash, std::uint32_t filled);

    std::uint32_t block_size_;
    std::uint32_t speculate_;
    std::optional<std::uint32_t> block_count_;
    std::unordered_map<std::uint32_t, content> contents_;
    std::unordered_map<std::uint32_t, std::vector<holder>> holders_;
    std::unordered_map<std::uint64_t, holding> live_;
    std::uint64_t versions_ = 0;
};

}  // namespace truffula::shard_sim
