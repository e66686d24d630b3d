#include "shard/messages.hpp"

#include "shard/scan.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <variant>

namespace truffula::shard {
namespace {

void write(const inference::sampling_parameters& from, wire::NextTokenChooserParameters& to) {
    to.set_temperature(from.temperature);
    to.set_top_k(from.top_k);
    to.set_top_p(from.top_p);
    to.set_typical_p(from.typical_p);
    to.set_do_sample(from.do_sample);
    to.set_seed(from.seed);
    to.set_repetition_penalty(from.repetition_penalty);
    to.set_frequency_penalty(from.frequency_penalty);
    to.set_presence_penalty(from.presence_penalty);
    to.set_watermark(from.watermark);
    to.set_return_k_alternatives(from.return_k_alternatives);
    if (from.schema) to.set_schema(*from.schema);
}

void write(const inference::input_chunk& from, wire::InputChunk& to) {
    if (const auto* const text = std::get_if<std::string>(&from)) {
        to.set_text(*text);
    } else {
        const auto& image = std::get<inference::image>(from);
        to.mutable_image()->set_data(image.bytes);
        to.mutable_image()->set_mimetype(image.mime_type);
    }
}

/// Where each reserved token is written: block × block size + offset.
void write_slots(const prefill_request& from, google::protobuf::RepeatedField<std::uint32_t>& to) {
    to.Resize(static_cast<int>(from.slot_count), 0);
    auto* slot = to.mutable_data();
    auto* const end = slot + from.slot_count;
    for (const auto block : from.blocks) {
        for (std::uint32_t i = 0; i < from.block_size && slot != end; ++i) {
            *slot++ = block * from.block_size + i;
        }
    }
}

void write(const prefill_request& from, wire::Request& to) {
    const auto& what = *from.what;
    write_common(from, to);
    write(what.sampling, *to.mutable_parameters());
    to.mutable_parameters()->set_adapter_id(from.adapter_id);
    auto& stopping = *to.mutable_stopping_parameters();
    stopping.set_max_new_tokens(what.stopping.max_new_tokens);
    for (const auto& stop : what.stopping.stop_sequences) stopping.add_stop_sequences(stop);
    stopping.set_ignore_eos_token(what.stopping.ignore_eos_token);
    to.set_prefill_logprobs(what.prefill_logprobs);
    to.set_cache_len(from.cache_len);
    if (from.chunk_len) to.set_chunk_len(*from.chunk_len);
}

void write(const adapter::parameters& from, wire::AdapterParameters& to) {
    for (const auto& id : from.ids) to.add_adapter_ids(id);
    to.mutable_weights()->Assign(from.weights.begin(), from.weights.end());
    // Both enums have the protocol's order.
    to.set_merge_strategy(static_cast<wire::MergeStrategy>(from.strategy));
    to.set_density(from.density);
    to.set_majority_sign_method(static_cast<wire::MajoritySignMethod>(from.signs));
}

template <class Message>
Message adapter_message(const adapter_call& call) {
    Message m;
    write(call.what, *m.mutable_adapter_parameters());
    m.set_adapter_source(static_cast<wire::AdapterSource>(call.from));
    return m;
}

adapter::parameters read(const wire::AdapterParameters& from) {
    adapter::parameters out;
    out.ids.assign(from.adapter_ids().begin(), from.adapter_ids().end());
    out.weights.assign(from.weights().begin(), from.weights().end());
    out.strategy = static_cast<adapter::merge_strategy>(from.merge_strategy());
    out.density = from.density();
    out.signs = static_cast<adapter::sign_method>(from.majority_sign_method());
    return out;
}

}  // namespace

void write_common(const prefill_request& from, wire::Request& to) {
    const auto& what = *from.what;
    to.set_id(from.id);
    to.set_inputs(what.inputs);
    if (!what.input_ids.empty()) {
        auto& tokenized = *to.mutable_tokenized_inputs();
        tokenized.mutable_ids()->Assign(what.input_ids.begin(), what.input_ids.end());
        if (what.chunks.empty()) tokenized.add_input_chunks()->set_text(what.inputs);
        for (const auto& chunk : what.chunks) write(chunk, *tokenized.add_input_chunks());
    }
    to.set_truncate(what.truncate);
    to.set_adapter_index(from.adapter_index);
    to.mutable_blocks()->Assign(from.blocks.begin(), from.blocks.end());
    write_slots(from, *to.mutable_slots());
}

std::string prefill_message(const prefill_batch& batch) {
    wire::PrefillRequest m;
    auto& to = *m.mutable_batch();
    to.set_id(batch.id);
    for (const auto& r : batch.requests) write(r, *to.add_requests());
    to.set_size(static_cast<std::uint32_t>(batch.requests.size()));
    to.set_max_tokens(batch.max_tokens);
    to.set_max_blocks(batch.max_blocks);
    auto bytes = m.SerializeAsString();
    if (batch.running) append_prefill_cached_batch(*batch.running, bytes);
    return bytes;
}

std::string filter_message(std::uint64_t batch_id, std::span<const std::uint64_t> request_ids) {
    wire::FilterBatchRequest m;
    m.set_batch_id(batch_id);
    m.mutable_request_ids()->Assign(request_ids.begin(), request_ids.end());
    return m.SerializeAsString();
}

std::string clear_cache_message(std::optional<std::uint64_t> batch_id) {
    wire::ClearCacheRequest m;
    if (batch_id) m.set_id(*batch_id);
    return m.SerializeAsString();
}

std::string download_message(const adapter_call& call) {
    auto m = adapter_message<wire::DownloadAdapterRequest>(call);
    if (!call.api_token.empty()) m.set_api_token(call.api_token);
    return m.SerializeAsString();
}

std::string load_message(const adapter_call& call) {
    auto m = adapter_message<wire::LoadAdapterRequest>(call);
    m.set_adapter_index(call.index);
    if (!call.api_token.empty()) m.set_api_token(call.api_token);
    return m.SerializeAsString();
}

std::string offload_message(const adapter_call& call) {
    auto m = adapter_message<wire::OffloadAdapterRequest>(call);
    m.set_adapter_index(call.index);
    return m.SerializeAsString();
}

std::string health_message(
    std::uint32_t block_size, std::string (*write)(const prefill_batch& batch)) {
    constexpr auto dummy = std::numeric_limits<std::uint64_t>::max();
    inference::request what;
    what.inputs = "liveness";
    what.input_ids = {75};
    what.truncate = 10;
    what.stopping.max_new_tokens = 1;
    const std::vector<std::uint32_t> blocks{0};  // the one that no request ever gets
    prefill_batch batch;
    batch.id = dummy;
    prefill_request r;
    r.id = dummy;
    r.what = &what;
    r.blocks = blocks;
    r.block_size = r.slot_count = std::max(block_size, 1U);
    batch.requests.push_back(std::move(r));
    batch.max_tokens = 2;
    batch.max_blocks = 1;
    return write(batch);
}

model_info read_info(const wire::InfoResponse& from) {
    model_info out;
    out.requires_padding = from.requires_padding();
    out.dtype = from.dtype();
    out.device_type = from.device_type();
    if (from.has_window_size()) out.window_size = from.window_size();
    out.block_size = from.block_size();
    out.speculate = from.speculate();
    out.supports_generation = from.supports_generation();
    out.supports_embeddings = from.supports_embeddings();
    out.supports_classification = from.supports_classification();
    out.chunked_prefill = from.chunked_prefill();
    out.requires_block_allocator = from.requires_block_allocator();
    for (const auto& p : from.preloaded_adapters()) {
        model_info::preloaded one;
        one.what = read(p.adapter_parameters());
        one.from = static_cast<adapter::source>(p.adapter_source());
        one.index = p.adapter_index();
        out.preloaded_adapters.push_back(std::move(one));
    }
    return out;
}

result<std::uint32_t> read_memory_share(float fraction) {
    if (!(fraction >= 0.0F)) {  // NaN, too
        return error{errc::protocol, "the shard answered a memory fraction that is no share"};
    }
    constexpr double most = 1e9;  // keeps sums of shares far from overflow
    return static_cast<std::uint32_t>(std::ceil(std::min(double{fraction} * 1e6, most)));
}

}  // namespace truffula::shard
