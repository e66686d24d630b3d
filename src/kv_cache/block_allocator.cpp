#include "truffula/kv_cache/block_allocator.hpp"

#include <algorithm>
#include <utility>

namespace truffula::kv_cache {

/// What allocator and allocations share. The last blocks given back are the first given out: a
/// shard's processor still has them in its own caches.
struct block_allocation::pool {
    std::uint32_t block_size = 1;
    std::vector<std::uint32_t> free;  // never beyond the capacity it starts with
    std::optional<prefix_tree> tree;
    std::uint64_t hit_tokens = 0;
    std::uint64_t prompt_tokens = 0;
};

block_allocation& block_allocation::operator=(block_allocation&& other) noexcept {
    if (this == &other) return *this;
    release();
    pool_ = std::move(other.pool_);
    blocks_ = std::move(other.blocks_);
    slot_count_ = other.slot_count_;
    cached_tokens_ = other.cached_tokens_;
    prompt_tokens_ = other.prompt_tokens_;
    hold_ = std::exchange(other.hold_, std::nullopt);
    return *this;
}

std::uint32_t block_allocation::block_size() const noexcept {
    return pool_->block_size;
}

void block_allocation::confirm(std::span<const std::uint32_t> ids) {
    pool_->hit_tokens += cached_tokens_;
    pool_->prompt_tokens += prompt_tokens_;
    if (hold_ && ids.size() == prompt_tokens_) pool_->tree->insert(*hold_, ids, blocks_);
}

void block_allocation::release() noexcept {
    if (!pool_) return;
    if (hold_) {
        pool_->tree->release(*hold_, blocks_, pool_->free);
    } else {
        pool_->free.insert(pool_->free.end(), blocks_.begin(), blocks_.end());
    }
    pool_.reset();
}

block_allocator::block_allocator(allocator_settings settings)
    : settings_(settings), pool_(std::make_shared<block_allocation::pool>()) {
    settings_.block_size = std::max(settings_.block_size, 1U);
    const auto blocks = settings_.token_budget / settings_.block_size;
    usable_ = blocks > 0 ? blocks - 1 : 0;
    pool_->block_size = settings_.block_size;
    pool_->free.resize(usable_);
    for (std::uint32_t i = 0; i < usable_; ++i) pool_->free[i] = i + 1;
    if (settings_.prefix_caching) {
        pool_->tree.emplace(usable_, settings_.block_size, settings_.hash_seed);
    }
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

std::size_t block_allocator::available() const noexcept {
    return pool_->free.size() + (pool_->tree ? pool_->tree->unreferenced() : 0);
}

bool block_allocator::needs_second_look(const block_memo& memo) const noexcept {
    const bool was_matched = pool_->tree && memo.version != 0;
    return was_matched && memo.version != pool_->tree->version() && memo.fresh > available();
}

/// Tokens of a prompt that nobody has counted out can neither be found nor kept.
bool block_allocator::is_shared(const block_request& request) const {
    return pool_->tree && !request.ids.empty() && request.ids.size() == request.prompt_tokens;
}

block_offer block_allocator::look_up(const block_request& request, block_memo& memo) const {
    block_offer offer;
    offer.fresh = blocks_needed(request.prompt_tokens, request.new_tokens);
    const auto at_hand = available();
    if (!is_shared(request) || !request.reads_cache) {
        offer.fits = offer.fresh <= at_hand;
        return offer;
    }
    const auto& tree = *pool_->tree;
    if (memo.version == tree.version() && memo.fresh > at_hand) return offer;
    const auto most = (request.prompt_tokens - 1) / settings_.block_size;
    if (offer.fresh - most > at_hand) return offer;
    offer.cached = tree.find(request.scope, request.ids, most);
    offer.cached_tokens = offer.cached.blocks * settings_.block_size;
    offer.fresh -= offer.cached.blocks;
    // What it takes from the cache cannot be evicted for it.
    offer.fits = offer.fresh + offer.cached.unreferenced <= at_hand;
    memo = {tree.version(), offer.fresh};
    return offer;
}

std::optional<block_allocation> block_allocator::allocate(
    const block_request& request, const block_offer& offer) {
    if (!offer.fits) return std::nullopt;
    auto& free = pool_->free;
    std::optional<block_allocation> out{block_allocation{pool_}};
    const auto fresh = static_cast<std::size_t>(offer.fresh);
    out->blocks_.reserve(offer.cached.blocks + fresh);
    out->cached_tokens_ = offer.cached_tokens;
    out->prompt_tokens_ = request.prompt_tokens;
    out->slot_count_ =
        static_cast<std::uint32_t>(tokens_needed(request.prompt_tokens, request.new_tokens));
    if (is_shared(request)) {
        pool_->tree->append_path(offer.cached, out->blocks_);
        out->hold_ = pool_->tree->hold(request.scope, offer.cached);
    }
    if (fresh > free.size()) pool_->tree->evict(fresh - free.size(), free);
    const auto first = free.end() - static_cast<std::ptrdiff_t>(fresh);
    out->blocks_.insert(out->blocks_.end(), first, free.end());
    free.erase(first, free.end());
    return out;
}

std::optional<block_allocation> block_allocator::allocate(const block_request& request) {
    block_memo memo;
    return allocate(request, look_up(request, memo));
}

void block_allocator::forget(std::uint32_t adapter_index) {
    if (pool_->tree) pool_->tree->forget(adapter_index);
}

block_counts block_allocator::counts() const noexcept {
    block_counts c;
    c.free = pool_->free.size();
    c.cached = pool_->tree ? pool_->tree->unreferenced() : 0;
    c.used = usable_ - c.free - c.cached;
    c.hit_tokens = pool_->hit_tokens;
    c.prompt_tokens = pool_->prompt_tokens;
    return c;
}

}  // namespace truffula::kv_cache
