#pragma once

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
};

/// The blocks of one request. Destruction gives them back, also after the allocator has gone.
class block_allocation {
public:
    block_allocation(block_allocation&& other) noexcept = default;
    block_allocation& operator=(block_allocation&& other) noexcept;
    ~block_allocation() { release(); }

    /// Block numbers, in the order of the tokens they hold.
    std::span<const std::uint32_t> blocks() const noexcept { return blocks_; }

    /// Where each reserved token is written: block × block size + offset.
    std::span<const std::uint32_t> slots() const noexcept { return slots_; }

private:
    friend class block_allocator;
    struct pool;
    block_allocation(std::shared_ptr<pool> from, std::uint32_t blocks, std::uint32_t tokens);
    void release() noexcept;

    std::shared_ptr<pool> pool_;
    std::vector<std::uint32_t> blocks_;
    std::vector<std::uint32_t> slots_;
};

/// Gives out the key/value blocks of a paged shard (design section 7, contract 12.2): a shard
/// without them would number every batch from block 0 and overwrite live ones.
///
/// Blocks are 1 … floor(token_budget / block_size) − 1; block 0 belongs to health checks. A
/// request gets blocks for prompt + new + speculated − 1 tokens (the last one is never written),
/// all or nothing, and for its full length also where the model has a window.
///
/// \threads one at a time.
class block_allocator {
public:
    explicit block_allocator(allocator_settings settings);

    /// Blocks that a request takes.
    std::uint64_t blocks_needed(std::uint32_t prompt_tokens, std::uint32_t new_tokens) const;

    /// Blocks of all requests together.
    std::uint32_t usable() const noexcept;
    std::uint32_t available() const noexcept;

    /// Nothing, and no change, when fewer than needed are available.
    std::optional<block_allocation> allocate(std::uint32_t prompt_tokens, std::uint32_t new_tokens);

private:
    std::uint64_t tokens_needed(std::uint32_t prompt_tokens, std::uint32_t new_tokens) const;

    allocator_settings settings_;
    std::uint32_t usable_;
    std::shared_ptr<block_allocation::pool> pool_;
};

}  // namespace truffula::kv_cache
