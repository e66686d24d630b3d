#pragma once

#include "shard_sim/shard.hpp"

#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace truffula::shard_sim::test {

/// A request with `prompt` tokens (`first`, `first` + 1, …) for the base model, without blocks.
inline wire::Request request(
    std::uint64_t id, std::uint32_t prompt, std::uint32_t max_new, std::uint32_t first = 10) {
    wire::Request r;
    r.set_id(id);
    r.set_inputs("prompt " + std::to_string(id));
    for (std::uint32_t i = 0; i < prompt; ++i) r.mutable_tokenized_inputs()->add_ids(first + i);
    r.mutable_parameters()->set_temperature(1.0F);
    r.mutable_parameters()->set_top_p(1.0F);
    r.mutable_parameters()->set_typical_p(1.0F);
    r.mutable_stopping_parameters()->set_max_new_tokens(max_new);
    return r;
}

/// Gives `r` these blocks, and all their slots.
inline wire::Request on_blocks(
    wire::Request r, const std::vector<std::uint32_t>& blocks, std::uint32_t size = 16) {
    for (const auto b : blocks) {
        r.add_blocks(b);
        for (std::uint32_t i = 0; i < size; ++i) r.add_slots(b * size + i);
    }
    return r;
}

/// A batch whose `size`, `max_tokens` and `max_blocks` are right.
inline wire::PrefillRequest batch_of(std::uint64_t id, const std::vector<wire::Request>& requests) {
    wire::PrefillRequest out;
    auto& b = *out.mutable_batch();
    b.set_id(id);
    b.set_size(static_cast<std::uint32_t>(requests.size()));
    for (const auto& r : requests) {
        *b.add_requests() = r;
        b.set_max_tokens(b.max_tokens() + size_of(r).prompt);
        b.set_max_blocks(std::max(b.max_blocks(), static_cast<std::uint32_t>(r.blocks_size())));
    }
    return out;
}

inline wire::AdapterParameters adapter(const std::string& id) {
    wire::AdapterParameters p;
    p.add_adapter_ids(id);
    return p;
}

/// Options of a plain shard: no blocks to give.
inline options plain() {
    options o;
    o.uds_path = "/sim";
    o.model.kind = layout::plain;
    return o;
}

inline options paged() {
    options o;
    o.uds_path = "/sim";
    return o;
}

/// Plays the router: keeps the batches as answered and sends them back.
class driver {
public:
    explicit driver(const options& settings, bool warm = true) : shard_(settings) {
        if (warm) warmup(4'096);
    }

    void warmup(std::uint32_t prefill_tokens, int requests = 1) {
        wire::WarmupRequest in;
        wire::WarmupResponse out;
        in.set_max_prefill_tokens(prefill_tokens);
        for (int i = 0; i < requests; ++i) in.mutable_batch()->add_requests();
        shard_.warmup(in, out);
    }

    /// The answer; nothing if the call failed.
    std::optional<wire::PrefillResponse> prefill(
        const wire::PrefillRequest& in, const std::optional<fault>& wrong = {}) {
        wire::PrefillResponse out;
        if (shard_.prefill(in, out, wrong).error) return std::nullopt;
        keep(out);
        return out;
    }

    std::optional<wire::DecodeResponse> decode(
        const std::vector<std::uint64_t>& ids, const std::optional<fault>& wrong = {}) {
        wire::DecodeRequest in;
        for (const auto id : ids) *in.add_batches() = known(id);
        return decode(in, wrong);
    }

    std::optional<wire::DecodeResponse> decode(
        const wire::DecodeRequest& in, const std::optional<fault>& wrong = {}) {
        wire::DecodeResponse out;
        if (shard_.decode(in, out, wrong).error) return std::nullopt;
        keep(out);
        return out;
    }

    bool filter(std::uint64_t id, const std::vector<std::uint64_t>& ids) {
        wire::FilterBatchRequest in;
        wire::FilterBatchResponse out;
        in.set_batch_id(id);
        for (const auto i : ids) in.add_request_ids(i);
        if (shard_.filter_batch(in, out).error) return false;
        keep(out);
        return true;
    }

    void clear(std::optional<std::uint64_t> id) {
        wire::ClearCacheRequest in;
        if (id) in.set_id(*id);
        shard_.clear_cache(in);
    }

    outcome download(const std::string& id, const std::string& token = {}) {
        wire::DownloadAdapterRequest in;
        wire::DownloadAdapterResponse out;
        *in.mutable_adapter_parameters() = adapter(id);
        if (!token.empty()) in.set_api_token(token);
        return finish(shard_.download(in, out));
    }

    outcome load(const std::string& id, std::uint32_t index, const std::string& token = {}) {
        wire::LoadAdapterRequest in;
        wire::LoadAdapterResponse out;
        *in.mutable_adapter_parameters() = adapter(id);
        in.set_adapter_index(index);
        if (!token.empty()) in.set_api_token(token);
        return finish(shard_.load(in, out));
    }

    bool offload(const std::string& id, std::uint32_t index) {
        wire::OffloadAdapterRequest in;
        wire::OffloadAdapterResponse out;
        *in.mutable_adapter_parameters() = adapter(id);
        in.set_adapter_index(index);
        shard_.offload(in, out);
        return out.offloaded();
    }

    void ready(const std::string& id, std::uint32_t index) {
        download(id);
        load(id, index);
    }

    wire::CachedBatch known(std::uint64_t id) const {
        const auto found = kept_.find(id);
        if (found != kept_.end()) return found->second;
        wire::CachedBatch unknown;
        unknown.set_id(id);
        return unknown;
    }

    std::uint64_t count(violation v) { return shard_.checker().log().count(v); }
    std::uint64_t total() { return shard_.checker().log().total(); }
    bool only(violation v) { return count(v) != 0 && count(v) == total(); }
    shard& under_test() { return shard_; }

private:
    template <class Response>
    void keep(const Response& out) {
        if (out.has_batch()) kept_[out.batch().id()] = out.batch();
    }
    static outcome finish(outcome done) {
        if (done.after) done.after();
        return done;
    }

    shard shard_;
    std::map<std::uint64_t, wire::CachedBatch> kept_;
};

}  // namespace truffula::shard_sim::test
