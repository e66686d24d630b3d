#include "truffula/kv_cache/prefix_tree.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace truffula::kv_cache {
namespace {

constexpr std::uint32_t root_bit = 1U << 31U;
constexpr std::uint32_t forgotten_bit = 1U << 31U;

// The finaliser of MurmurHash3: every bit of the input reaches every bit of the result.
std::uint64_t mix(std::uint64_t h) {
    h = (h ^ (h >> 33U)) * 0xff51afd7ed558ccdULL;
    h = (h ^ (h >> 33U)) * 0xc4ceb9fe1a85ec53ULL;
    return h ^ (h >> 33U);
}

}  // namespace

prefix_tree::prefix_tree(std::uint32_t blocks, std::uint32_t block_size, std::uint64_t seed)
    : block_size_(std::max(block_size, 1U)),
      seed_(seed),
      nodes_(std::size_t{blocks} + 1),
      tokens_((std::size_t{blocks} + 1) * block_size_),
      buckets_(std::bit_ceil(std::size_t{blocks} + 1)) {}

std::uint32_t& prefix_tree::first_child_of(std::uint32_t parent) {
    if ((parent & root_bit) != 0) return roots_[parent & ~root_bit].first_child;
    return nodes_[parent].first_child;
}

std::uint32_t prefix_tree::first_child_of(std::uint32_t parent) const {
    if ((parent & root_bit) != 0) return roots_[parent & ~root_bit].first_child;
    return nodes_[parent].first_child;
}

std::size_t prefix_tree::bucket_of(std::uint32_t parent, const std::uint32_t* tokens) const {
    auto hash = seed_ ^ parent;
    std::uint32_t i = 0;
    for (; i + 1 < block_size_; i += 2) {
        hash = mix(hash ^ (std::uint64_t{tokens[i]} << 32U | tokens[i + 1]));
    }
    if (i < block_size_) hash = mix(hash ^ (std::uint64_t{tokens[i]} << 32U));
    return hash & (buckets_.size() - 1);
}

bool prefix_tree::has_tokens(std::uint32_t block, const std::uint32_t* tokens) const {
    const auto* mine = tokens_.data() + std::size_t{block} * block_size_;
    if (block_size_ == 1) return *mine == *tokens;
    return std::memcmp(mine, tokens, block_size_ * sizeof(*tokens)) == 0;
}

/// Most blocks have one continuation: it is compared before anything is hashed.
std::uint32_t prefix_tree::child(std::uint32_t parent, const std::uint32_t* tokens) const {
    const auto first = first_child_of(parent);
    if (first == 0 || has_tokens(first, tokens)) return first;
    if (nodes_[first].next_sibling == 0) return 0;
    auto at = buckets_[bucket_of(parent, tokens)];
    while (at != 0 && (nodes_[at].parent != parent || !has_tokens(at, tokens))) {
        at = nodes_[at].next_in_bucket;
    }
    return at;
}

prefix_match prefix_tree::find(
    const prefix_scope& scope, std::span<const std::uint32_t> tokens, std::uint32_t most) const {
    prefix_match found;
    const auto known = root_ids_.find(scope);
    if (known == root_ids_.end()) return found;
    const auto limit = std::min<std::size_t>(most, tokens.size() / block_size_);
    auto at = known->second | root_bit;
    for (const auto* block = tokens.data(); found.blocks < limit; block += block_size_) {
        at = child(at, block);
        if (at == 0) break;
        found.last = at;
        ++found.blocks;
        if (nodes_[at].references == 0) ++found.unreferenced;
    }
    return found;
}

void prefix_tree::append_path(const prefix_match& found, std::vector<std::uint32_t>& to) const {
    auto at = found.last;
    to.resize(to.size() + found.blocks);
    for (auto place = to.rbegin(); place != to.rbegin() + found.blocks; ++place) {
        *place = at;
        at = nodes_[at].parent;
    }
}

std::uint32_t prefix_tree::root_of(const prefix_scope& scope) {
    const auto [at, is_new] = root_ids_.try_emplace(scope, 0);
    if (!is_new) return at->second;
    if (unused_roots_.empty()) {
        unused_roots_.push_back(static_cast<std::uint32_t>(roots_.size()));
        roots_.emplace_back();
    }
    at->second = unused_roots_.back();
    unused_roots_.pop_back();
    roots_[at->second] = {scope};
    return at->second;
}

void prefix_tree::drop_if_unused(std::uint32_t root_id) {
    const auto& r = roots_[root_id];
    if (r.holds > 0 || r.first_child != 0 || r.is_forgotten != r.is_swept) return;
    if (!r.is_forgotten) root_ids_.erase(r.scope);
    unused_roots_.push_back(root_id);
}

prefix_hold prefix_tree::hold(const prefix_scope& scope, const prefix_match& found) {
    const auto id = root_of(scope);
    ++roots_[id].holds;
    for (auto at = found.last, i = found.blocks; i > 0; --i) {
        reference(at);
        at = nodes_[at].parent;
    }
    return {id, found.last, found.blocks};
}

void prefix_tree::insert(
    prefix_hold& held,
    std::span<const std::uint32_t> tokens,
    std::span<const std::uint32_t> blocks) {
    if (roots_[held.root].is_forgotten) return;
    const auto whole = std::min(tokens.size() / block_size_, blocks.size());
    while (held.blocks < whole) {
        const auto parent = held.blocks > 0 ? held.last : held.root | root_bit;
        const auto* mine = tokens.data() + std::size_t{held.blocks} * block_size_;
        auto next = child(parent, mine);
        if (next == 0) {
            next = blocks[held.blocks];
            add(next, parent, mine);
        }
        reference(next);
        held.last = next;
        ++held.blocks;
    }
}

void prefix_tree::release(
    const prefix_hold& held,
    std::span<const std::uint32_t> blocks,
    std::vector<std::uint32_t>& free) {
    free.insert(free.end(), blocks.begin() + held.blocks, blocks.end());
    auto at = held.last;
    for (auto depth = held.blocks; depth > 0; --depth) {
        if (blocks[depth - 1] != at) free.push_back(blocks[depth - 1]);
        const auto parent = nodes_[at].parent;
        const auto left = --nodes_[at].references;
        if (left == 0) {
            make_newest(at);
        } else if (left == forgotten_bit) {
            free.push_back(at);
        }
        at = parent;
    }
    --roots_[held.root].holds;
    drop_if_unused(held.root);
}

void prefix_tree::evict(std::size_t count, std::vector<std::uint32_t>& free) {
    const auto enough = free.size() + count;
    while (free.size() < enough && sweep(free)) {
    }
    while (free.size() < enough) {
        const auto oldest = nodes_[0].newer;
        const auto parent = nodes_[oldest].parent;
        leave_ring(oldest);
        remove_from_bucket(oldest);
        detach(oldest);
        free.push_back(oldest);
        if ((parent & root_bit) != 0) drop_if_unused(parent & ~root_bit);
    }
}

void prefix_tree::forget(std::uint32_t adapter_index) {
    const auto first = root_ids_.lower_bound({adapter_index, 0});
    auto at = first;
    for (; at != root_ids_.end() && at->first.adapter_index == adapter_index; ++at) {
        roots_[at->second].is_forgotten = true;
        to_sweep_.push_back(at->second);
    }
    root_ids_.erase(first, at);
}

/// One step down to a leaf of a forgotten tree, or one leaf less; false: there is none. Each block
/// takes two steps in all. What requests hold leaves the tree too, and is theirs to give back.
bool prefix_tree::sweep(std::vector<std::uint32_t>& free) {
    if (swept_ == 0) {
        if (to_sweep_.empty()) return false;
        swept_ = to_sweep_.back() | root_bit;
        to_sweep_.pop_back();
    }
    const auto at = swept_;
    if (const auto child = first_child_of(at); child != 0) {
        swept_ = child;
    } else if ((at & root_bit) != 0) {
        swept_ = 0;
        roots_[at & ~root_bit].is_swept = true;
        drop_if_unused(at & ~root_bit);
    } else {
        remove_from_bucket(at);
        detach(at);
        if (nodes_[at].references > 0) {
            nodes_[at].references |= forgotten_bit;
        } else {
            leave_ring(at);
            free.push_back(at);
        }
    }
    return true;
}

void prefix_tree::add(std::uint32_t block, std::uint32_t parent, const std::uint32_t* tokens) {
    std::copy_n(tokens, block_size_, tokens_.data() + std::size_t{block} * block_size_);
    auto& bucket = buckets_[bucket_of(parent, tokens)];
    auto& first = first_child_of(parent);
    nodes_[block] = {};
    nodes_[block].parent = parent;
    nodes_[block].next_in_bucket = std::exchange(bucket, block);
    nodes_[block].next_sibling = first;
    if (first != 0) nodes_[first].previous_sibling = block;
    first = block;
    make_newest(block);
    ++version_;
}

void prefix_tree::remove_from_bucket(std::uint32_t block) {
    const auto* mine = tokens_.data() + std::size_t{block} * block_size_;
    auto* link = &buckets_[bucket_of(nodes_[block].parent, mine)];
    while (*link != block) link = &nodes_[*link].next_in_bucket;
    *link = nodes_[block].next_in_bucket;
}

/// Takes a leaf away from its parent.
void prefix_tree::detach(std::uint32_t block) {
    const auto& n = nodes_[block];
    if (n.previous_sibling != 0) {
        nodes_[n.previous_sibling].next_sibling = n.next_sibling;
    } else {
        first_child_of(n.parent) = n.next_sibling;
    }
    if (n.next_sibling != 0) nodes_[n.next_sibling].previous_sibling = n.previous_sibling;
    if (swept_ == block) swept_ = n.parent;
}

void prefix_tree::reference(std::uint32_t block) {
    if (nodes_[block].references++ == 0) leave_ring(block);
}

void prefix_tree::make_newest(std::uint32_t block) {
    auto& n = nodes_[block];
    n.newer = 0;
    n.older = nodes_[0].older;
    nodes_[n.older].newer = block;
    nodes_[0].older = block;
    ++unreferenced_;
}

void prefix_tree::leave_ring(std::uint32_t block) {
    const auto& n = nodes_[block];
    nodes_[n.older].newer = n.newer;
    nodes_[n.newer].older = n.older;
    --unreferenced_;
}

}  // namespace truffula::kv_cache
