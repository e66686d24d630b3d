#include "truffula/kv_cache/block_allocator.hpp"

#include <algorithm>
#include <utility>

namespace truffula::kv_cache {

/// The free blocks, last given back first: what a shard's caches still hold.
struct block_allocation::pool {
    std::uint32_t block_size;
    std::vector<std::uint32_t> free;
};

block_allocation::block_allocation(
    std::shared_ptr<pool> from, std::uint32_t blocks, std::uint32_t tokens)
    : pool_(std::move(from)) {
    auto& free = pool_->free;
    blocks_.assign(free.rbegin(), free.rbegin() + blocks);
    free.resize(free.size() - blocks);
    slots_.resize(tokens);
    const auto size = pool_->block_size;
    std::size_t at = 0;
    for (const auto block : blocks_) {
        for (std::uint32_t i = 0; i < size && at < slots_.size(); ++i) {
            slots_[at++] = block * size + i;
        }
    }
}

block_allocation& block_allocation::operator=(block_allocation&& other) noexcept {
    if (this == &other) return *this;
    release();
    pool_ = std::move(other.pool_);
    blocks_ = std::move(other.blocks_);
    slots_ = std::move(other.slots_);
    return *this;
}

void block_allocation::release() noexcept {
    if (!pool_) return;
    // Never grows beyond what the constructor of the allocator reserved.
    pool_->free.insert(pool_->free.end(), blocks_.rbegin(), blocks_.rend());
    pool_.reset();
}

block_allocator::block_allocator(allocator_settings settings)
    : settings_(settings), pool_(std::make_shared<block_allocation::pool>()) {
    settings_.block_size = std::max(settings_.block_size, 1U);
    const auto blocks = settings_.token_budget / settings_.block_size;
    usable_ = blocks > 0 ? blocks - 1 : 0;
    pool_->block_size = settings_.block_size;
    pool_->free.reserve(usable_);
    for (auto block = usable_; block > 0; --block) pool_->free.push_back(block);
}

std::uint64_t block_allocator::tokens_needed(
    std::uint32_t prompt_tokens, std::uint32_t new_tokens) const {
    const auto tokens = std::uint64_t{prompt_tokens} + new_tokens + settings_.speculate;
    return std::max<std::uint64_t>(tokens, 2) - 1;
}

std::uint64_t block_allocator::blocks_needed(
    std::uint32_t prompt_tokens, std::uint32_t new_tokens) const {
    const auto size = settings_.block_size;
    return (tokens_needed(prompt_tokens, new_tokens) + size - 1) / size;
}

std::uint32_t block_allocator::usable() const noexcept {
    return usable_;
}

std::uint32_t block_allocator::available() const noexcept {
    return static_cast<std::uint32_t>(pool_->free.size());
}

std::optional<block_allocation> block_allocator::allocate(
    std::uint32_t prompt_tokens, std::uint32_t new_tokens) {
    const auto blocks = blocks_needed(prompt_tokens, new_tokens);
    if (blocks > available()) return std::nullopt;
    return block_allocation{
        pool_,
        static_cast<std::uint32_t>(blocks),
        static_cast<std::uint32_t>(tokens_needed(prompt_tokens, new_tokens))};
}

}  // namespace truffula::kv_cache
