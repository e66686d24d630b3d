#pragma once

#include "truffula/adapter/identity.hpp"
#include "truffula/error/error.hpp"
#include "truffula/inference/step.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace truffula::shard {

/// What `Info` says of the model (all shards of a group say the same).
struct model_info {
    bool requires_padding = false;
    std::string dtype;
    std::string device_type;
    std::optional<std::uint32_t> window_size;  ///< Tokens.
    std::uint32_t block_size = 1;              ///< Tokens; means nothing without blocks.
    std::uint32_t speculate = 0;               ///< Tokens a step may add to the first.
    bool supports_generation = true;
    bool supports_embeddings = false;
    bool supports_classification = false;
    bool chunked_prefill = false;
    bool requires_block_allocator = false;

    struct preloaded {
        adapter::parameters what;
        adapter::source from = adapter::source::hub;
        std::uint32_t index = 0;
    };
    std::vector<preloaded> preloaded_adapters;
};

/// The bytes of one shard's answer; spans point into it.
using answer_buffer = std::shared_ptr<const std::string>;

/// One `Generation` message inside an answer, found without parsing it.
struct generation_span {
    std::uint64_t request_id = 0;
    std::uint32_t buffer = 0;  ///< Index into `step_answer::buffers`.
    std::uint32_t offset = 0;  ///< Bytes.
    std::uint32_t length = 0;  ///< Bytes.
    bool finished = false;     ///< Carries `generated_text`.
    bool has_tokens = false;   ///< Carries a non-empty `next_tokens`.
};

/// A `CachedBatch` as the shard sent it: goes back verbatim in the next call.
struct cached_batch {
    std::uint64_t id = 0;
    std::vector<std::uint64_t> request_ids;
    std::uint32_t size = 0;
    std::uint32_t max_tokens = 0;
    std::uint32_t current_tokens = 0;
    std::string wire;  ///< The message's own bytes, without tag and length.
};

/// The united answers of a group to Prefill or Decode.
struct step_answer {
    std::vector<answer_buffer> buffers;  ///< One per shard, in rank order.
    std::vector<generation_span> spans;
    std::optional<cached_batch> batch;  ///< None: every request of the call has ended.
};

/// What a group answered one request of Embed or Classify.
struct pooled_result {
    std::uint64_t request_id = 0;
    /// \errors `errc::protocol`: no vector, a number that is not finite, unequal lists.
    result<std::shared_ptr<const inference::pooled_answer>> answer;
};

}  // namespace truffula::shard
