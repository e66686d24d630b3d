#pragma once

#include "truffula/kv_cache/prefix_tree.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace truffula::kv_cache {

struct allocator_settings {
    std::uint32_t token_budget = 0;  ///< Tokens that all blocks together hold.
    std::uint32_t block_size = 1;    ///< Tokens.
    std::uint32_t speculate = 0;     ///< Tokens a step may add to the first.
    bool prefix_caching = false;
    std::uint64_t hash_seed = 0;  ///< Of the prefix cache; see `prefix_tree`.
};

/// What blocks are asked for.
struct block_request {
    std::uint32_t prompt_tokens = 0;
    std::uint32_t new_tokens = 0;
    std::span<const std::uint32_t> ids = {};  ///< Of the prompt; other than all: it is not shared.
    prefix_scope scope = {};
    bool reads_cache = true;  ///< False: every token of the prompt is to be computed.
};

/// What a request would take now.
struct block_offer {
    std::uint64_t fresh = 0;          ///< Blocks beside those from the cache.
    std::uint32_t cached_tokens = 0;  ///< Of the prompt, in blocks from the cache.
    bool fits = false;
    prefix_match cached;
};

/// Remembers of a request that did not fit what it takes to look again.
struct block_memo {
    std::uint64_t version = 0;  ///< Of the cache, when it was looked into; 0: never.
    std::uint64_t fresh = 0;
};

/// Where the blocks are: each is in exactly one of the first three.
struct block_counts {
    std::size_t free = 0;
    /// Held by the cache alone: given out when free ones run short, first those of adapters that
    /// were forgotten.
    std::size_t cached = 0;
    std::size_t used = 0;             ///< Held by requests.
    std::uint64_t hit_tokens = 0;     ///< Of prompts, taken from the cache; ever.
    std::uint64_t prompt_tokens = 0;  ///< Of all prompts that shards confirmed; ever.
};

/// The blocks of one request. Destruction gives them back, also after the allocator has gone.
class block_allocation {
public:
    block_allocation(block_allocation&& other) noexcept = default;
    block_allocation& operator=(block_allocation&& other) noexcept;
    ~block_allocation() { release(); }

    /// Block numbers, in the order of the tokens they hold; those from the cache come first.
    std::span<const std::uint32_t> blocks() const noexcept { return blocks_; }

    /// Reserved tokens. Token i is written to slot blocks()[i / size] × size + i mod size: shards
    /// want the slots spelled out, which is left to whoever writes the message.
    std::uint32_t slot_count() const noexcept { return slot_count_; }
    std::uint32_t block_size() const noexcept;

    /// Tokens of the prompt that the shards need not compute.
    std::uint32_t cached_tokens() const noexcept { return cached_tokens_; }

    /// The shards have computed the whole prompt: its whole blocks may be shared from now on.
    /// \param ids of the prompt, as they were asked for.
    void confirm(std::span<const std::uint32_t> ids);

private:
    friend class block_allocator;
    struct pool;
    explicit block_allocation(std::shared_ptr<pool> from) : pool_(std::move(from)) {}
    void release() noexcept;

    std::shared_ptr<pool> pool_;
    std::vector<std::uint32_t> blocks_;
    std::uint32_t slot_count_ = 0;
    std::uint32_t cached_tokens_ = 0;
    std::uint32_t prompt_tokens_ = 0;
    std::optional<prefix_hold> hold_;  // none: nothing is shared
};

/// Gives out the key/value blocks of a paged shard (design section 7, contract 12.2): a shard
/// without them would number every batch from block 0 and overwrite live ones.
///
/// Blocks are 1 … floor(token_budget / block_size) − 1; block 0 belongs to health checks. A
/// request gets blocks for prompt + new + speculated − 1 tokens (the last one is never written),
/// all or nothing, and for its full length also where the model has a window. With prefix caching
/// the first blocks of a prompt come from the cache when it has the same tokens, at most
/// floor((prompt − 1) / block_size) of them: what a request writes is never shared.
///
/// \threads one at a time.
class block_allocator {
public:
    explicit block_allocator(allocator_settings settings);

    /// Blocks that a request takes, shared ones included.
    std::uint64_t blocks_needed(std::uint32_t prompt_tokens, std::uint32_t new_tokens) const;

    /// Blocks of all requests together.
    std::uint32_t usable() const noexcept { return usable_; }

    /// Blocks that no request holds.
    std::size_t available() const noexcept;

    /// Whether the request that `memo` is of fits only if its match has become longer since, which
    /// to see takes matching it again.
    bool needs_second_look(const block_memo& memo) const noexcept;

    /// What `request` would take. Changes nothing.
    /// \param memo of an earlier look at the same request: spares the look when nothing has changed
    /// that could make it fit, and is brought up to date.
    block_offer look_up(const block_request& request, block_memo& memo) const;

    /// Takes what `look_up` has just offered; nothing, and no change, when it does not fit.
    std::optional<block_allocation> allocate(
        const block_request& request, const block_offer& offer);

    /// Both at once.
    std::optional<block_allocation> allocate(const block_request& request);

    /// The adapter at this index is other weights from now on. Costs the same however much of it is
    /// cached.
    void forget(std::uint32_t adapter_index);

    block_counts counts() const noexcept;

private:
    std::uint64_t tokens_needed(std::uint32_t prompt_tokens, std::uint32_t new_tokens) const;
    bool is_shared(const block_request& request) const;

    allocator_settings settings_;
    std::uint32_t usable_;
    std::shared_ptr<block_allocation::pool> pool_;
};

}  // namespace truffula::kv_cache
