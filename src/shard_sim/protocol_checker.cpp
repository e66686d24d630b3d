#include "shard_sim/protocol_checker.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

namespace truffula::shard_sim {
namespace {

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
