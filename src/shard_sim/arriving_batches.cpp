// What comes with a new batch: the checks of Prefill, Embed and Classify.
#include "shard_sim/protocol_checker.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

namespace truffula::shard_sim {
namespace {

// The health check needs block 0 only while it lasts one token.
bool is_health_check(const wire::Batch& batch) {
    return batch.id() == health_id && batch.requests_size() == 1 &&
           batch.requests(0).stopping_parameters().max_new_tokens() == 1;
}

}  // namespace

void protocol_checker::check_head(const wire::Batch& batch) {
    if (!budgets_.warmed_up()) log_.add(violation::compute_before_warmup, batch_name(batch.id()));
    if (batch.requests().empty()) log_.add(violation::empty_batch, batch_name(batch.id()));
    if (batch.size() != static_cast<std::uint32_t>(batch.requests_size())) {
        log_.add(
            violation::size_wrong,
            batch_name(batch.id()) + " says " + std::to_string(batch.size()) + ", has " +
                std::to_string(batch.requests_size()));
    }
}

void protocol_checker::compute(const wire::Batch& batch) {
    check_head(batch);
    if (batch.id() == health_id) return;
    std::vector<request_size> sizes;
    std::set<std::uint64_t> named;
    for (const auto& r : batch.requests()) {
        if (live_ids_.contains(r.id()) || !named.insert(r.id()).second) {
            log_.add(violation::request_id_reused, request_name(r.id()));
            continue;
        }
        adapters_.use(r, log_);
        sizes.push_back(size_of(r));
        if (model_.kind == layout::paged) claim_blocks(r);
    }
    budgets_.check_prefill(batch, 0, sizes, log_);
    for (const auto id : named) blocks_.release(id);
}

void protocol_checker::prefill(const wire::PrefillRequest& request) {
    const auto& batch = request.batch();
    check_head(batch);
    if (is_health_check(batch)) return;
    const auto before = live_sizes();
    auto fresh = take_running(request);
    if (batches_.contains(batch.id())) {
        log_.add(violation::batch_id_reused, batch_name(batch.id()));
        drop(batch.id());
    }
    seen_batches_.insert(batch.id());
    int most_blocks = 0;
    for (const auto& r : batch.requests()) {
        take(r, fresh);
        most_blocks = std::max(most_blocks, r.blocks_size());
    }
    if (model_.kind == layout::paged &&
        batch.max_blocks() != static_cast<std::uint32_t>(most_blocks)) {
        log_.add(
            violation::max_blocks_wrong,
            batch_name(batch.id()) + " says " + std::to_string(batch.max_blocks()) + ", has " +
                std::to_string(most_blocks));
    }
    const bool shares = model_.chunked_prefill && request.has_cached_batch();
    const auto id = shares ? request.cached_batch().id() : batch.id();
    batches_.insert_or_assign(id, std::move(fresh));
    peak_live_ = std::max(peak_live_, live_ids_.size());
    peak_blocks_ = std::max(peak_blocks_, blocks_.held_blocks());
    const auto* running = shares ? &request.cached_batch() : nullptr;
    budgets_.admit(batch, running, before, blocks_.held_blocks(), log_);
}

/// The running batch that does a step in the same call, if there is one.
protocol_checker::live_batch protocol_checker::take_running(const wire::PrefillRequest& request) {
    if (!request.has_cached_batch()) return {};
    const auto& named = request.cached_batch();
    if (!model_.chunked_prefill) {
        log_.add(violation::chunking_unsupported, "cached " + batch_name(named.id()));
        return {};
    }
    if (!check_named(named, "Prefill")) return {};
    auto running = std::move(batches_.extract(named.id()).mapped());
    for (auto& r : running.requests) step(r);
    return running;
}

void protocol_checker::check_chunk(const wire::Request& request, const request_size& size) {
    if (!request.has_chunk_len()) return;
    ++chunks_;
    if (!model_.chunked_prefill) {
        log_.add(violation::chunking_unsupported, request_name(request.id()));
    } else if (request.chunk_len() == 0 || request.chunk_len() >= size.uncached) {
        log_.add(
            violation::chunk_length_wrong,
            request_name(request.id()) + ": " + std::to_string(request.chunk_len()) + " of " +
                std::to_string(size.uncached));
    }
}

void protocol_checker::take(const wire::Request& request, live_batch& into) {
    if (!live_ids_.insert(request.id()).second) {
        log_.add(violation::request_id_reused, request_name(request.id()));
    }
    if (request.stopping_parameters().max_new_tokens() == 0) {
        log_.add(violation::no_new_tokens, request_name(request.id()));
    }
    adapters_.use(request, log_);
    live_request mine;
    mine.id = request.id();
    mine.adapter_index = request.adapter_index();
    mine.size = size_of(request);
    mine.steps = 1;
    check_chunk(request, mine.size);
    cached_tokens_ += mine.size.prompt - mine.size.uncached;
    into.requests.push_back(mine);
    if (model_.kind == layout::paged) claim_blocks(request);
}

void protocol_checker::claim_blocks(const wire::Request& request) {
    const auto prompt = prompt_ids(request);
    const auto view = [](const auto& list) {
        return std::span<const std::uint32_t>{list.data(), static_cast<std::size_t>(list.size())};
    };
    block_claim claim;
    claim.request_id = request.id();
    claim.weights = adapters_.epoch_of(request.adapter_index());
    claim.prompt = prompt;
    claim.blocks = view(request.blocks());
    claim.slots = view(request.slots());
    claim.cache_len = request.cache_len();
    claim.max_new_tokens = std::max(1U, request.stopping_parameters().max_new_tokens());
    blocks_.take(claim, log_);
}

}  // namespace truffula::shard_sim
