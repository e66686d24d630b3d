#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace truffula::inference {

/// What a request asks of the model. Requests of different tasks never share a batch.
enum class task : std::uint8_t { generate, embed, classify };

/// How tokens are picked. Defaults are those of the wire when a client names nothing.
struct sampling_parameters {
    float temperature = 1.0F;
    std::uint32_t top_k = 0;  ///< 0: all.
    float top_p = 1.0F;
    float typical_p = 1.0F;
    bool do_sample = false;
    std::uint64_t seed = 0;  ///< Always set: a random one when the client gave none.
    float repetition_penalty = 1.0F;
    float frequency_penalty = 0.0F;
    float presence_penalty = 0.0F;
    bool watermark = false;
    std::optional<std::string> schema;  ///< Compact JSON; constrains the answer.
    std::uint32_t return_k_alternatives = 0;
};

struct stopping_parameters {
    std::uint32_t max_new_tokens = 0;  ///< At least 1 once validated; 1 if nothing is generated.
    std::vector<std::string> stop_sequences;
    bool ignore_eos_token = false;
};

/// Who goes first where the policy knows classes.
enum class priority : std::uint8_t { interactive, batch };

/// An image of a prompt, in its own file format.
struct image {
    std::string bytes;
    std::string mime_type;
};

/// A piece of a prompt, in order.
using input_chunk = std::variant<std::string, image>;

/// A validated request. Immutable once made: shared between threads.
struct request {
    task kind = task::generate;
    std::string inputs;                    ///< Already cut when `truncate` cut it.
    std::vector<std::uint32_t> input_ids;  ///< Empty without a tokenizer.
    std::vector<input_chunk> chunks;       ///< Of a prompt with images; empty: the text is all.
    std::uint32_t input_length = 0;        ///< Tokens that budgets count.
    std::uint32_t truncate = 0;            ///< As sent to shards (contract 12.2).
    sampling_parameters sampling;
    stopping_parameters stopping;
    bool prefill_logprobs = false;                                  ///< `decoder_input_details`.
    std::optional<std::chrono::steady_clock::time_point> deadline;  ///< In a batch by then.
    inference::priority priority = inference::priority::interactive;
    bool every_step = true;   ///< Else only the first and the last step are delivered.
    bool is_streamed = true;  ///< Its client sees tokens as they come: it cannot be started over.
};

}  // namespace truffula::inference
