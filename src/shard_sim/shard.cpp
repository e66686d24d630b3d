#include "shard_sim/shard.hpp"

#include "shard_sim/hash.hpp"
#include "shard_sim/malform.hpp"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

namespace truffula::shard_sim {
namespace {

outcome failed(std::string why, std::chrono::microseconds cost = {}) {
    outcome out;
    out.error = std::move(why);
    out.cost = cost;
    return out;
}

outcome took(std::chrono::microseconds cost) {
    outcome out;
    out.cost = cost;
    return out;
}

bool is(const std::optional<fault>& wrong, fault_kind kind) {
    return wrong && wrong->kind == kind;
}

// What fails, hangs or answers bytes that nobody can read has lost its batches.
bool loses_batches(const std::optional<fault>& wrong) {
    return is(wrong, fault_kind::fail) || is(wrong, fault_kind::hang);
}

/// The text of `bad` that a prompt of the batch holds: the whole call fails of it.
std::optional<std::string> poison_in(
    const wire::Batch& batch, const std::vector<std::string>& bad) {
    for (const auto& r : batch.requests()) {
        for (const auto& text : bad) {
            if (r.inputs().find(text) != std::string::npos) return text;
        }
    }
    return std::nullopt;
}

std::vector<std::uint64_t> ids_of(const wire::DecodeRequest& in) {
    std::vector<std::uint64_t> ids;
    for (const auto& b : in.batches()) ids.push_back(b.id());
    return ids;
}

}  // namespace

shard::shard(const options& settings)
    : options_(settings),
      batches_(settings.model),
      adapters_(settings.adapters),
      checker_(settings.model, settings.adapters) {}

outcome shard::info(wire::InfoResponse& out) const {
    const auto& m = options_.model;
    out.set_requires_padding(m.kind == layout::padded);
    out.set_requires_block_allocator(m.kind == layout::paged);
    out.set_dtype("float32");
    out.set_device_type("cpu");
    if (m.window) out.set_window_size(*m.window);
    out.set_block_size(m.block_size);
    out.set_speculate(m.speculate);
    out.set_chunked_prefill(m.chunked_prefill);
    for (const auto& [id, index] : options_.adapters.preloaded) {
        auto& one = *out.add_preloaded_adapters();
        one.mutable_adapter_parameters()->add_adapter_ids(id);
        one.set_adapter_source(wire::LOCAL);
        one.set_adapter_index(index);
    }
    out.set_supports_generation(m.supports_generation);
    out.set_supports_embeddings(m.supports_embeddings);
    out.set_supports_classification(m.supports_classification);
    return {};
}

outcome shard::service_discovery(wire::ServiceDiscoveryResponse& out) const {
    for (std::uint32_t rank = 0; rank < options_.model.world; ++rank) {
        if (!options_.uds_path.empty()) {
            out.add_urls("unix://" + options_.uds_path + "-" + std::to_string(rank));
        } else {
            out.add_urls("tcp://" + tcp_address(options_.tcp, rank));
        }
    }
    return {};
}

outcome shard::clear_cache(const wire::ClearCacheRequest& in) {
    checker_.clear(in);
    if (in.has_id()) {
        batches_.forget(in.id());
    } else {
        batches_.forget_all();
    }
    return {};
}

outcome shard::warmup(const wire::WarmupRequest& in, wire::WarmupResponse& out) {
    checker_.warmup(in);
    batches_.set_prefill_budget(in.max_prefill_tokens());
    const auto limit = options_.model.max_supported_total_tokens;
    if (limit) out.set_max_supported_total_tokens(*limit);
    return took(options_.costs.warmup);
}

outcome shard::filter_batch(const wire::FilterBatchRequest& in, wire::FilterBatchResponse& out) {
    checker_.filter(in);
    std::string why;
    const auto& ids = in.request_ids();
    const auto kept =
        batches_.filter(in.batch_id(), {ids.data(), static_cast<std::size_t>(ids.size())}, why);
    if (!kept) return failed(std::move(why));
    checker_.answered(*kept);
    *out.mutable_batch() = *kept;
    return {};
}

void shard::lose(std::span<const std::uint64_t> ids) {
    for (const auto id : ids) {
        batches_.forget(id);
        checker_.lost(id);
    }
}

template <class Response>
void shard::publish(step done, const std::optional<fault>& wrong, Response& out) {
    for (const auto& note : done.notes) generated_tokens_ += note.tokens;
    peak_batch_ = std::max(peak_batch_, done.notes.size());
    if (wrong) malform(wrong->kind, done);
    if (!done.batch) batches_.forget(done.batch_id);
    checker_.answered(done.batch_id, done.notes, done.batch);
    for (auto& g : done.generations) *out.add_generations() = std::move(g);
    if (done.batch) *out.mutable_batch() = *done.batch;
}

std::chrono::microseconds shard::cost_of(const wire::Batch& batch) const {
    auto cost = options_.costs.prefill_base;
    for (const auto& r : batch.requests()) {
        cost += size_of(r).uncached * options_.costs.prefill_token;
    }
    return cost;
}

outcome shard::prefill(
    const wire::PrefillRequest& in, wire::PrefillResponse& out, const std::optional<fault>& wrong) {
    checker_.prefill(in);
    std::vector<std::uint64_t> ids{in.batch().id()};
    std::optional<std::uint64_t> running;
    if (options_.model.chunked_prefill && in.has_cached_batch()) {
        running = in.cached_batch().id();
        ids.push_back(*running);
        ++joins_;
    }
    auto cost = options_.costs.prefill_base;
    std::string why;
    const auto label = [&](const wire::Request& r) {
        const auto known = adapters_.label_at(r.adapter_index());
        if (!known) why = "No adapter at index " + std::to_string(r.adapter_index());
        return known.value_or("");
    };
    std::optional<step> done;
    if (is(wrong, fault_kind::fail)) why = wrong->text;
    if (!loses_batches(wrong)) {
        done = batches_.prefill(in.batch(), running, label, is(wrong, fault_kind::no_end), why);
    }
    if (!done || !why.empty()) {
        lose(ids);
        return failed(std::move(why), cost);
    }
    for (const auto& note : done->notes) {
        cost += note.prompt_tokens > 0 ? note.prompt_tokens * options_.costs.prefill_token
                                       : options_.costs.decode_sequence;
    }
    publish(std::move(*done), wrong, out);
    return took(cost);
}

outcome shard::decode(
    const wire::DecodeRequest& in, wire::DecodeResponse& out, const std::optional<fault>& wrong) {
    checker_.decode(in);
    const auto ids = ids_of(in);
    if (ids.size() > 1) ++joins_;
    std::string why;
    std::optional<step> done;
    if (is(wrong, fault_kind::fail)) why = wrong->text;
    if (!loses_batches(wrong)) done = batches_.decode(ids, is(wrong, fault_kind::no_end), why);
    if (!done) {
        lose(ids);
        return failed(std::move(why), options_.costs.decode_base);
    }
    const auto sequences = static_cast<std::int64_t>(done->notes.size());
    auto cost = options_.costs.decode_base + sequences * options_.costs.decode_sequence;
    for (const auto& note : done->notes) cost += note.prompt_tokens * options_.costs.prefill_token;
    publish(std::move(*done), wrong, out);
    return took(cost);
}

outcome shard::embed(const wire::EmbedRequest& in, wire::EmbedResponse& out) {
    checker_.compute(in.batch());
    if (!options_.model.supports_embeddings) return failed("Model does not support embeddings");
    if (const auto text = poison_in(in.batch(), options_.model.fail_prompts)) {
        out.set_errormsg("cannot embed a prompt with '" + *text + "'");
        return took(options_.costs.prefill_base);
    }
    constexpr int width = 8;
    for (const auto& r : in.batch().requests()) {
        auto& one = *out.add_embeddings();
        one.set_request_id(r.id());
        std::uint64_t hash = mix(0, adapters_.label_at(r.adapter_index()).value_or(""));
        for (const auto id : prompt_ids(r)) hash = mix(hash, id);
        for (int i = 0; i < width; ++i) {
            hash = mix(hash, 1);
            one.add_values(static_cast<float>(hash % 2'000) / 1'000.0F - 1.0F);
        }
    }
    return took(cost_of(in.batch()));
}

outcome shard::classify(const wire::ClassifyRequest& in, wire::ClassifyResponse& out) {
    checker_.compute(in.batch());
    if (!options_.model.supports_classification) {
        return failed("Model does not support classification");
    }
    if (const auto text = poison_in(in.batch(), options_.model.fail_prompts)) {
        return failed("cannot classify a prompt with '" + *text + "'");
    }
    for (const auto& r : in.batch().requests()) {
        auto& one = *out.add_classify_prediction_lists();
        one.set_request_id(r.id());
        for (const auto id : prompt_ids(r)) {
            one.add_predictions(id % 3 == 0 ? "B-LOC" : "O");
            one.add_scores(static_cast<float>(id % 100) / 100.0F);
        }
    }
    return took(cost_of(in.batch()));
}

}  // namespace truffula::shard_sim
