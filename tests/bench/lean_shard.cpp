#include "bench/lean_shard.hpp"

#include <algorithm>
#include <thread>

namespace truffula::bench {
namespace {

template <class Message>
Message parse(std::string_view bytes) {
    Message m;
    m.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    return m;
}

}  // namespace

std::string lean_shard::answer(std::string_view method, std::string_view request) {
    if (method == "Decode") return decode(request);
    if (method == "Prefill") return prefill(request);
    if (method == "FilterBatch") return filter(request);
    if (method == "ClearCache") {
        const auto in = parse<wire::ClearCacheRequest>(request);
        if (in.has_id()) {
            batches_.erase(in.id());
        } else {
            batches_.clear();
        }
        return {};
    }
    if (method == "ServiceDiscovery") {
        wire::ServiceDiscoveryResponse out;
        out.add_urls(url_);
        return out.SerializeAsString();
    }
    if (method == "Info") {
        wire::InfoResponse out;
        out.set_supports_generation(true);
        out.set_block_size(1);
        out.set_dtype("none");
        out.set_device_type("cpu");
        return out.SerializeAsString();
    }
    if (method == "DownloadAdapter") {
        wire::DownloadAdapterResponse out;
        out.set_downloaded(true);
        return out.SerializeAsString();
    }
    if (method == "LoadAdapter") {
        wire::LoadAdapterResponse out;
        out.set_loaded(true);
        return out.SerializeAsString();
    }
    return {};  // Health, Warmup, OffloadAdapter: every field at its default
}

std::string lean_shard::prefill(std::string_view request) {
    const auto in = parse<wire::PrefillRequest>(request);
    auto& batch = batches_[in.batch().id()];
    std::uint32_t longest = 1;
    for (const auto& r : in.batch().requests()) {
        batch.push_back({r.id(), r.stopping_parameters().max_new_tokens(), 0});
        longest = std::max(longest, static_cast<std::uint32_t>(r.tokenized_inputs().ids_size()));
    }
    return step<wire::PrefillResponse>(in.batch().id(), longest);
}

std::string lean_shard::decode(std::string_view request) {
    const auto in = parse<wire::DecodeRequest>(request);
    if (in.batches_size() == 0) return {};
    const auto id = in.batches(0).id();
    auto& into = batches_[id];
    for (int i = 1; i < in.batches_size(); ++i) {
        auto joined = batches_.extract(in.batches(i).id());
        if (!joined) continue;
        into.insert(into.end(), joined.mapped().begin(), joined.mapped().end());
    }
    if (const auto time = step_.load(); time.count() > 0) {
        std::this_thread::sleep_for(time);  // the model computes
    }
    return step<wire::DecodeResponse>(id, 0);
}

std::string lean_shard::filter(std::string_view request) {
    const auto in = parse<wire::FilterBatchRequest>(request);
    std::erase_if(batches_[in.batch_id()], [&in](const sequence& s) {
        const auto& ids = in.request_ids();
        return std::find(ids.begin(), ids.end(), s.id) == ids.end();
    });
    wire::FilterBatchResponse out;
    *out.mutable_batch() = view(in.batch_id());
    return out.SerializeAsString();
}

template <class Response>
std::string lean_shard::step(std::uint64_t batch_id, std::uint32_t prompt_tokens) {
    Response out;
    bool goes_on = false;
    for (auto& s : batches_[batch_id]) {
        if (s.left == 0) continue;
        auto& g = *out.add_generations();
        g.set_request_id(s.id);
        g.set_prefill_tokens_length(prompt_tokens);
        auto& next = *g.mutable_next_tokens();
        next.add_ids(1000 + s.done % 1000);
        next.add_logprobs(-0.25F);
        next.add_texts(" token");
        next.add_is_special(false);
        ++s.done;
        if (--s.left == 0) {
            g.mutable_generated_text()->set_text(" token");
            g.mutable_generated_text()->set_generated_tokens(s.done);
        } else {
            goes_on = true;
        }
    }
    answered_sequences_ = static_cast<std::size_t>(out.generations_size());
    tokens_ += answered_sequences_;
    if (goes_on) {
        *out.mutable_batch() = view(batch_id);
    } else {
        batches_.erase(batch_id);
    }
    return out.SerializeAsString();
}

wire::CachedBatch lean_shard::view(std::uint64_t batch_id) const {
    wire::CachedBatch out;
    out.set_id(batch_id);
    const auto found = batches_.find(batch_id);
    if (found == batches_.end()) return out;
    for (const auto& s : found->second) out.add_request_ids(s.id);
    out.set_size(static_cast<std::uint32_t>(found->second.size()));
    return out;
}

void lean_shard::about_to_answer(std::string_view method) {
    answered_.reset();
    if (method == "Decode") answered_ = bench_clock::now();
}

void lean_shard::arrived(std::string_view method) {
    if (method != "Decode" || !answered_) return;
    const std::chrono::duration<double, std::micro> time = bench_clock::now() - *answered_;
    const std::lock_guard lock{mutex_};
    gaps_.push_back({time.count(), answered_sequences_});
}

std::vector<double> lean_shard::take_gaps(std::size_t sequences) {
    const std::lock_guard lock{mutex_};
    std::vector<double> taken;
    for (const auto& g : gaps_) {
        if (g.sequences == sequences) taken.push_back(g.microseconds);
    }
    gaps_.clear();
    return taken;
}

}  // namespace truffula::bench
