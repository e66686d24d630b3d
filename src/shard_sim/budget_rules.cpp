#include "shard_sim/budget_rules.hpp"

#include <algorithm>
#include <string>

namespace truffula::shard_sim {
namespace {

std::uint64_t longest(const std::vector<request_size>& all) {
    std::uint64_t out = 0;
    for (const auto& r : all) out = std::max<std::uint64_t>(out, r.prompt);
    return out;
}

std::uint64_t total_of(
    layout kind,
    const std::vector<request_size>& all,
    std::size_t held_blocks,
    std::uint32_t block_size) {
    if (kind == layout::paged) return std::uint64_t{held_blocks} * block_size;
    std::uint64_t sum = kind == layout::padded ? all.size() * longest(all) : 0;
    for (const auto& r : all) sum += r.max_new + (kind == layout::plain ? r.prompt : 0);
    return sum;
}

std::string pair(std::uint64_t given, std::uint64_t limit) {
    return std::to_string(given) + " with a limit of " + std::to_string(limit);
}

}  // namespace

request_size size_of(const wire::Request& request) {
    request_size out;
    out.prompt = static_cast<std::uint32_t>(prompt_ids(request).size());
    out.uncached = out.prompt - std::min(out.prompt, request.cache_len());
    out.now = request.has_chunk_len() ? std::min(out.uncached, request.chunk_len()) : out.uncached;
    out.max_new = request.stopping_parameters().max_new_tokens();
    return out;
}

void budget_rules::warmup(const wire::WarmupRequest& request, violation_log& log) {
    if (request.batch().requests().empty()) {
        log.add(violation::warmup_without_requests, batch_name(request.batch().id()));
    }
    prefill_budget_ = request.max_prefill_tokens();
}

void budget_rules::check_prefill(
    const wire::Batch& batch,
    std::uint32_t running_tokens,
    const std::vector<request_size>& fresh,
    violation_log& log) const {
    std::uint64_t sum = 0;
    for (const auto& r : fresh) sum += r.now;
    const auto computed =
        options_.kind == layout::padded ? fresh.size() * longest(fresh) : sum + running_tokens;
    if (prefill_budget_ && computed > *prefill_budget_) {
        log.add(violation::prefill_budget, "prompt tokens: " + pair(computed, *prefill_budget_));
    }
    // The router may count more than we do (without a tokenizer it takes the most there can be).
    if (batch.max_tokens() < sum) {
        log.add(
            violation::max_tokens_wrong,
            std::to_string(batch.max_tokens()) + " for " + std::to_string(sum) + " prompt tokens");
    }
}

void budget_rules::admit(
    const wire::Batch& batch,
    const wire::CachedBatch* running,
    const std::vector<request_size>& live,
    std::size_t held_blocks,
    violation_log& log) const {
    std::vector<request_size> all;
    for (const auto& r : batch.requests()) all.push_back(size_of(r));
    check_prefill(batch, running ? running->current_tokens() : 0, all, log);
    all.insert(all.end(), live.begin(), live.end());
    if (options_.max_sequences && all.size() > *options_.max_sequences) {
        log.add(
            violation::too_many_sequences,
            "requests: " + pair(all.size(), *options_.max_sequences));
    }
    if (!options_.max_supported_total_tokens) return;
    const auto limit = *options_.max_supported_total_tokens;
    const auto total = total_of(options_.kind, all, held_blocks, options_.block_size);
    if (total > limit) log.add(violation::total_budget, "tokens: " + pair(total, limit));
}

}  // namespace truffula::shard_sim
