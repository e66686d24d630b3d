#include "shard_sim/block_ledger.hpp"

#include "shard_sim/hash.hpp"

#include <algorithm>
#include <set>
#include <string>

namespace truffula::shard_sim {
namespace {

std::string about(std::uint64_t request_id, std::uint64_t block) {
    return request_name(request_id) + ", block " + std::to_string(block);
}

std::uint64_t hash_of(std::uint64_t weights, std::span<const std::uint32_t> tokens) {
    std::uint64_t hash = mix(1, weights);
    for (const auto t : tokens) hash = mix(hash, t);
    return hash;
}

}  // namespace

void block_ledger::take(const block_claim& claim, violation_log& log) {
    if (claim.blocks.empty()) {
        log.add(violation::blocks_missing, request_name(claim.request_id));
        return;
    }
    release(claim.request_id);  // an id used twice is counted elsewhere
    check_layout(claim, log);
    check_cached(claim, log);
    hold(claim, log);
    auto& mine = live_[claim.request_id];
    mine.blocks.assign(claim.blocks.begin(), claim.blocks.end());
    mine.prompt.assign(claim.prompt.begin(), claim.prompt.end());
    mine.computed =
        static_cast<std::uint32_t>(std::min<std::size_t>(claim.cache_len, claim.prompt.size()));
    mine.hash = hash_of(claim.weights, claim.prompt.first(mine.computed));
    for (const auto b : mine.blocks) mine.versions.push_back(contents_[b].version);
}

void block_ledger::check_layout(const block_claim& claim, violation_log& log) const {
    std::set<std::uint32_t> seen;
    for (const auto b : claim.blocks) {
        if (b == 0) log.add(violation::block_zero_used, about(claim.request_id, b));
        if (block_count_ && b >= *block_count_) {
            log.add(violation::block_out_of_range, about(claim.request_id, b));
        }
        if (!seen.insert(b).second) {
            log.add(violation::block_repeated, about(claim.request_id, b));
        }
    }
    const auto needed =
        static_cast<std::uint32_t>(claim.prompt.size()) + claim.max_new_tokens + speculate_ - 1;
    if (claim.blocks.size() * block_size_ < needed) {
        log.add(
            violation::too_few_blocks,
            about(claim.request_id, claim.blocks.size()) + "s for " + std::to_string(needed) +
                " tokens");
    }
    check_slots(claim, needed, log);
    if (claim.cache_len % block_size_ != 0 || claim.cache_len >= claim.prompt.size()) {
        log.add(violation::cache_length_wrong, about(claim.request_id, claim.cache_len));
    }
}

void block_ledger::check_slots(
    const block_claim& claim, std::uint32_t needed, violation_log& log) const {
    bool right =
        claim.slots.size() >= needed && claim.slots.size() <= claim.blocks.size() * block_size_;
    for (std::size_t i = 0; right && i < claim.slots.size(); ++i) {
        const std::size_t block = claim.blocks[i / block_size_];
        right = claim.slots[i] == block * block_size_ + i % block_size_;
    }
    if (!right) log.add(violation::slots_wrong, request_name(claim.request_id));
}

void block_ledger::check_cached(const block_claim& claim, violation_log& log) const {
    const auto cached = std::min<std::size_t>(claim.cache_len, claim.prompt.size()) / block_size_;
    for (std::size_t i = 0; i < std::min(cached, claim.blocks.size()); ++i) {
        const auto found = contents_.find(claim.blocks[i]);
        const auto wanted = hash_of(claim.weights, claim.prompt.first((i + 1) * block_size_));
        if (found == contents_.end() || found->second.filled != block_size_ ||
            found->second.hash != wanted) {
            log.add(violation::cached_content_differs, about(claim.request_id, claim.blocks[i]));
        }
    }
}

void block_ledger::hold(const block_claim& claim, violation_log& log) {
    // Written until now or in future: all but what the cache holds. Once the prompt is computed,
    // its full blocks are only read, and may be shared.
    const auto cached = claim.cache_len / block_size_;
    const auto full = claim.prompt.size() / block_size_;
    for (std::size_t i = 0; i < claim.blocks.size(); ++i) {
        auto& others = holders_[claim.blocks[i]];
        const bool writes = i >= cached;
        const auto clashes = [&](const holder& other) {
            return other.request_id != claim.request_id && (writes || other.writes);
        };
        if (std::any_of(others.begin(), others.end(), clashes)) {
            log.add(violation::block_shared, about(claim.request_id, claim.blocks[i]));
        }
        holder mine;
        mine.request_id = claim.request_id;
        mine.writes = i >= full;
        others.push_back(mine);
    }
}

std::uint64_t block_ledger::touch(std::uint32_t block, std::uint64_t hash, std::uint32_t filled) {
    auto& c = contents_[block];
    c.hash = hash;
    c.filled = filled;
    return c.version = ++versions_;
}

void block_ledger::compute(std::uint64_t request_id, std::uint32_t computed) {
    const auto found = live_.find(request_id);
    if (found == live_.end()) return;
    auto& mine = found->second;
    const auto end = std::min<std::size_t>(computed, mine.prompt.size());
    for (std::size_t i = mine.computed; i < end; ++i) {
        mine.hash = mix(mine.hash, mine.prompt[i]);
        const auto number = i / block_size_;
        const bool last_of_block = (i + 1) % block_size_ == 0 || i + 1 == end;
        if (!last_of_block || number >= mine.blocks.size()) continue;
        const auto filled = static_cast<std::uint32_t>(i % block_size_) + 1;
        mine.versions[number] = touch(mine.blocks[number], mine.hash, filled);
    }
    mine.computed = std::max(mine.computed, static_cast<std::uint32_t>(end));
}

void block_ledger::step(std::uint64_t request_id, std::uint32_t generated, violation_log& log) {
    const auto found = live_.find(request_id);
    if (found == live_.end()) return;
    auto& mine = found->second;
    const bool is_whole = mine.computed >= mine.prompt.size();
    const std::size_t length =
        is_whole ? mine.prompt.size() + std::max(generated, 1U) - 1 : mine.computed;
    const auto read = std::min((length + block_size_ - 1) / block_size_, mine.blocks.size());
    for (std::size_t i = 0; i < read; ++i) {
        const auto version = contents_[mine.blocks[i]].version;
        if (version == mine.versions[i]) continue;
        log.add(violation::block_overwritten, about(request_id, mine.blocks[i]));
        mine.versions[i] = version;  // one count per foreign write, not per step
    }
    if (!is_whole) return;  // `compute` says what it has written
    const auto last = (length + speculate_) / block_size_;
    for (auto i = length / block_size_; i <= last && i < mine.blocks.size(); ++i) {
        mine.versions[i] = touch(mine.blocks[i], 0, 0);
    }
}

void block_ledger::release(std::uint64_t request_id) {
    const auto found = live_.find(request_id);
    if (found == live_.end()) return;
    for (const auto b : found->second.blocks) {
        auto& others = holders_[b];
        std::erase_if(others, [request_id](const holder& h) { return h.request_id == request_id; });
        if (others.empty()) holders_.erase(b);
    }
    live_.erase(found);
}

}  // namespace truffula::shard_sim
