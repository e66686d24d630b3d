#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::shard_sim {

/// The ways to break the protocol. Each is counted by itself.
enum class violation {
    overlapping_calls,        ///< A computing call came while another was unanswered.
    compute_before_warmup,    ///< A batch before Warmup was answered.
    warmup_without_requests,  ///< Warmup with an empty batch.
    empty_batch,              ///< A batch without requests.
    size_wrong,               ///< `size` is not the number of requests.
    batch_id_reused,          ///< A new batch under the id of a live one.
    request_id_reused,        ///< A new request under the id of a live one.
    no_new_tokens,            ///< `max_new_tokens` 0.
    chunking_unsupported,     ///< `cached_batch` or `chunk_len` for a shard without chunks.
    chunk_length_wrong,       ///< `chunk_len` 0, or not below what is left of the prompt.
    prefill_budget,           ///< More tokens in a Prefill than Warmup was told.
    total_budget,             ///< More tokens live than Warmup answered.
    too_many_sequences,       ///< More requests live than the shard can hold.
    max_tokens_wrong,         ///< `max_tokens` below what the batch has to compute.
    max_blocks_wrong,         ///< `max_blocks` is not the most blocks of one request.
    blocks_missing,           ///< A request without blocks on a paged shard.
    block_zero_used,          ///< Block 0, which belongs to health checks.
    block_out_of_range,       ///< A block beyond the memory.
    block_repeated,           ///< One block twice in one request.
    too_few_blocks,           ///< Fewer than prompt + new tokens + speculate - 1 need.
    slots_wrong,              ///< Slots do not follow from the blocks, or are too few.
    block_shared,             ///< A block that one live request writes and another holds.
    cache_length_wrong,       ///< `cache_len` not in whole blocks, or the whole prompt.
    cached_content_differs,   ///< A block taken from the cache holds other tokens.
    block_overwritten,        ///< A step reads a block that another request wrote since.
    decode_without_batches,   ///< Decode with an empty list.
    unknown_batch,            ///< Decode or FilterBatch of a batch that is not live.
    batch_named_twice,        ///< One batch twice in a Decode.
    cached_batch_differs,     ///< A batch sent back otherwise than it was answered.
    ended_request_decoded,    ///< A step for a request whose end was answered.
    too_many_steps,           ///< More steps than `max_new_tokens`.
    filter_unknown_request,   ///< FilterBatch keeps a request that the batch does not have.
    filter_empty,             ///< FilterBatch keeps none.
    clear_unknown_batch,      ///< ClearCache of a batch that never was.
    adapter_not_loaded,       ///< A live request names an index with nothing loaded.
    adapter_mismatch,         ///< The request's adapter is not the one at its index.
    adapter_calls_overlap,    ///< Load and offload of one index at the same time.
    load_before_download,     ///< LoadAdapter without a DownloadAdapter that succeeded.
    load_over_other,          ///< LoadAdapter onto the index of another adapter.
    offload_in_use,           ///< OffloadAdapter while a live request uses the index.
    fixed_adapter_moved,      ///< An adapter call for the base model or a preloaded adapter.
    adapter_memory,           ///< Loaded adapters take more than all memory.
};

inline constexpr std::array<std::string_view, 42> violation_names{
    "overlapping_calls",
    "compute_before_warmup",
    "warmup_without_requests",
    "empty_batch",
    "size_wrong",
    "batch_id_reused",
    "request_id_reused",
    "no_new_tokens",
    "chunking_unsupported",
    "chunk_length_wrong",
    "prefill_budget",
    "total_budget",
    "too_many_sequences",
    "max_tokens_wrong",
    "max_blocks_wrong",
    "blocks_missing",
    "block_zero_used",
    "block_out_of_range",
    "block_repeated",
    "too_few_blocks",
    "slots_wrong",
    "block_shared",
    "cache_length_wrong",
    "cached_content_differs",
    "block_overwritten",
    "decode_without_batches",
    "unknown_batch",
    "batch_named_twice",
    "cached_batch_differs",
    "ended_request_decoded",
    "too_many_steps",
    "filter_unknown_request",
    "filter_empty",
    "clear_unknown_batch",
    "adapter_not_loaded",
    "adapter_mismatch",
    "adapter_calls_overlap",
    "load_before_download",
    "load_over_other",
    "offload_in_use",
    "fixed_adapter_moved",
    "adapter_memory"};

constexpr std::string_view name_of(violation v) {
    return violation_names[static_cast<std::size_t>(v)];
}
static_assert(name_of(violation::adapter_memory) == "adapter_memory");

/// How sentences about them name a batch, and a request.
std::string batch_name(std::uint64_t id);
std::string request_name(std::uint64_t id);

/// Counts violations and keeps a sentence about the first ones.
class violation_log {
public:
    void add(violation v, const std::string& about);

    std::uint64_t count(violation v) const { return counts_[static_cast<std::size_t>(v)]; }
    std::uint64_t total() const;

    /// `name: sentence`, at most `most_examples`, in the order in which they happened.
    const std::vector<std::string>& examples() const { return examples_; }
    static constexpr std::size_t most_examples = 50;

private:
    std::array<std::uint64_t, violation_names.size()> counts_{};
    std::vector<std::string> examples_;
};

}  // namespace truffula::shard_sim
