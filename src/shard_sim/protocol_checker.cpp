#include "shard_sim/protocol_checker.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>
#include <utility>

namespace truffula::shard_sim {
namespace {

constexpr auto health_id = std::numeric_limits<std::uint64_t>::max();

std::string batch_name(std::uint64_t id) {
    return "batch " + std::to_string(id);
}
std::string request_name(std::uint64_t id) {
    return "request " + std::to_string(id);
}

// The health check needs block 0 only while it lasts one token.
bool is_health_check(const wire::Batch& batch) {
    return batch.id() == health_id && batch.requests_size() == 1 &&
           batch.requests(0).stopping_parameters().max_new_tokens() == 1;
}

std::optional<std::uint32_t> blocks_of(const model_options& model) {
    if (!model.max_supported_total_tokens) return std::nullopt;
    return *model.max_supported_total_tokens / model.block_size;
}

}  // namespace

protocol_checker::protocol_checker(const model_options& model, const adapter_options& adapters)
    : model_(model),
      budgets_(model),
      adapters_(adapters, model.rank == 0),
      blocks_(model.block_size, model.speculate, blocks_of(model)) {}

call_rules::call_id protocol_checker::begin(method m, std::optional<std::uint32_t> adapter_index) {
    return calls_.begin(m, adapter_index, log_);
}

void protocol_checker::warmup(const wire::WarmupRequest& request) {
    budgets_.warmup(request, log_);
    adapters_.new_session();
}

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

bool protocol_checker::check_named(const wire::CachedBatch& named, const char* method) {
    const auto found = batches_.find(named.id());
    if (found == batches_.end()) {
        log_.add(violation::unknown_batch, std::string{method} + " of " + batch_name(named.id()));
        return false;
    }
    const auto& answer = found->second.answer;
    if (!answer || answer->SerializeAsString() != named.SerializeAsString()) {
        log_.add(violation::cached_batch_differs, batch_name(named.id()));
    }
    return true;
}

void protocol_checker::decode(const wire::DecodeRequest& request) {
    if (request.batches().empty()) {
        log_.add(violation::decode_without_batches, "Decode");
        return;
    }
    live_batch joined;
    std::set<std::uint64_t> named;
    for (const auto& b : request.batches()) {
        if (!named.insert(b.id()).second) {
            log_.add(violation::batch_named_twice, batch_name(b.id()));
            continue;
        }
        if (!check_named(b, "Decode")) continue;
        auto node = batches_.extract(b.id());
        auto& from = node.mapped().requests;
        std::move(from.begin(), from.end(), std::back_inserter(joined.requests));
    }
    for (auto& r : joined.requests) step(r);
    batches_.insert_or_assign(request.batches(0).id(), std::move(joined));
}

void protocol_checker::step(live_request& request) {
    if (request.computed >= request.size.prompt) ++request.steps;  // else its prompt goes on
    if (request.ended) log_.add(violation::ended_request_decoded, request_name(request.id));
    // A router that was not told the end sees it from its own count, after one step too many.
    if (request.steps > request.size.max_new + (request.ended ? 0 : 1)) {
        log_.add(
            violation::too_many_steps,
            request_name(request.id) + ", step " + std::to_string(request.steps));
    }
    adapters_.use(request.adapter_index, request.id, log_);
    blocks_.step(request.id, request.generated, log_);
}

void protocol_checker::filter(const wire::FilterBatchRequest& request) {
    const auto found = batches_.find(request.batch_id());
    if (found == batches_.end()) {
        log_.add(violation::unknown_batch, "FilterBatch of " + batch_name(request.batch_id()));
        return;
    }
    std::set<std::uint64_t> keep(request.request_ids().begin(), request.request_ids().end());
    if (keep.empty()) log_.add(violation::filter_empty, batch_name(request.batch_id()));
    std::vector<live_request> kept;
    for (const auto& r : found->second.requests) {
        if (keep.erase(r.id) != 0) {
            kept.push_back(r);
        } else {
            forget(r);
        }
    }
    for (const auto id : keep) log_.add(violation::filter_unknown_request, request_name(id));
    found->second.requests = std::move(kept);
    if (found->second.requests.empty()) batches_.erase(found);
}

void protocol_checker::clear(const wire::ClearCacheRequest& request) {
    if (!request.has_id()) {
        while (!batches_.empty()) drop(batches_.begin()->first);
        return;
    }
    if (request.id() != health_id && !seen_batches_.contains(request.id())) {
        log_.add(violation::clear_unknown_batch, batch_name(request.id()));
    }
    drop(request.id());
}

void protocol_checker::answered(
    std::uint64_t batch_id,
    std::span<const step_note> notes,
    const std::optional<wire::CachedBatch>& kept) {
    const auto found = batches_.find(batch_id);
    if (found == batches_.end()) return;
    // Both lists are in the batch's order.
    auto& requests = found->second.requests;
    for (std::size_t i = 0; i < std::min(notes.size(), requests.size()); ++i) {
        requests[i].generated += notes[i].tokens;
        requests[i].computed = notes[i].computed_tokens;
        if (notes[i].prompt_tokens > 0) blocks_.compute(notes[i].id, notes[i].computed_tokens);
        requests[i].ended = requests[i].ended || notes[i].ended;
    }
    found->second.answer = kept;
    if (!kept) drop(batch_id);
}

void protocol_checker::answered(const wire::CachedBatch& kept) {
    const auto found = batches_.find(kept.id());
    if (found != batches_.end()) found->second.answer = kept;
}

void protocol_checker::offload(const wire::OffloadAdapterRequest& request) {
    bool in_use = false;
    for (const auto& [id, b] : batches_) {
        for (const auto& r : b.requests) {
            in_use = in_use || r.adapter_index == request.adapter_index();
        }
    }
    adapters_.offload(request, in_use, log_);
}

void protocol_checker::forget(const live_request& request) {
    live_ids_.erase(request.id);
    blocks_.release(request.id);
}

void protocol_checker::drop(std::uint64_t batch_id) {
    const auto found = batches_.find(batch_id);
    if (found == batches_.end()) return;
    for (const auto& r : found->second.requests) forget(r);
    batches_.erase(found);
}

std::vector<request_size> protocol_checker::live_sizes() const {
    std::vector<request_size> out;
    for (const auto& [id, b] : batches_) {
        for (const auto& r : b.requests) out.push_back(r.size);
    }
    return out;
}

}  // namespace truffula::shard_sim
