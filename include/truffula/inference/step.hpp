#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace truffula::inference {

enum class finish_reason : std::uint8_t { length, eos_token, stop_sequence };

struct alternative_token {
    std::uint32_t id = 0;
    std::string text;
    float logprob = 0.0F;
};

struct token {
    std::uint32_t id = 0;
    std::string text;
    float logprob = 0.0F;
    bool special = false;
    bool skipped = false;  ///< After the first of a speculative step.
    std::vector<alternative_token> alternatives;
};

struct prefill_token {
    std::uint32_t id = 0;
    std::string text;
    float logprob = 0.0F;  ///< NaN for the first: nothing precedes it.
};

/// The whole answer, in the last step.
struct generated_text {
    std::string text;
    std::uint32_t generated_tokens = 0;
    std::uint32_t skipped_tokens = 0;
    finish_reason reason = finish_reason::length;
    std::optional<std::uint64_t> seed;  ///< None when greedy.
};

/// The whole answer to a request that does not generate: it comes from one call.
struct pooled_answer {
    std::vector<float> embedding;     ///< Of `task::embed`: at least one number, all finite.
    std::vector<std::string> labels;  ///< Of `task::classify`: one for each token.
    std::vector<float> label_scores;  ///< As many, all finite.
};

/// What one shard call gave one request.
struct step {
    /// The request was started over: everything received before is void. Then nothing else is set.
    bool restarted = false;
    std::uint32_t prefill_length = 0;  ///< Prompt tokens, in the first step; 0: not reported.
    std::vector<prefill_token> prefill_tokens;    ///< Only if asked for.
    std::vector<token> tokens;                    ///< More than one with speculation.
    std::optional<generated_text> finished;       ///< Ends the request.
    std::shared_ptr<const pooled_answer> pooled;  ///< Ends a request that does not generate.
};

/// When a request passed its stations, for response headers and metrics.
struct timeline {
    using time_point = std::chrono::steady_clock::time_point;
    time_point created;      ///< Handed to the scheduler.
    time_point batched;      ///< Placed in a batch.
    time_point first_token;  ///< Prefill answer handled.
};

}  // namespace truffula::inference
