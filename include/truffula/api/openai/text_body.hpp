#pragma once

#include "truffula/api/generate_body.hpp"
#include "truffula/api/json_fields.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// Requests for text on OpenAI's routes as clients write them, unchecked but for their types.
namespace truffula::api::openai {

struct stream_options_body {
    std::optional<bool> include_usage;
    std::optional<bool> continuous_usage_stats;  ///< vLLM's.

    static const object_schema& schema();
};

/// What completions and chat have in common. The fields after `seed` are no part of OpenAI's
/// reference: LoRAX and vLLM have them.
struct text_body {
    std::string model;
    std::optional<std::int64_t> max_tokens;
    std::optional<float> temperature;
    std::optional<float> top_p;
    std::optional<std::int64_t> n;
    std::optional<bool> stream;
    std::optional<stream_options_body> stream_options;
    std::optional<text_or_json> stop;  ///< A string or a list of strings.
    std::optional<float> presence_penalty;
    std::optional<float> frequency_penalty;
    std::optional<raw_json> logit_bias;
    std::optional<std::string> user;
    std::optional<std::int64_t> seed;
    std::optional<raw_json> response_format;

    std::optional<std::string> adapter_id;
    std::optional<std::string> adapter_source;
    std::optional<merged_adapters_body> merged_adapters;
    std::optional<std::string> api_token;  ///< Never logged.
    std::optional<std::int64_t> top_k;
    std::optional<float> min_p;
    std::optional<float> typical_p;
    std::optional<float> repetition_penalty;
    std::optional<std::int64_t> min_tokens;
    std::optional<bool> ignore_eos;
    std::optional<bool> ignore_eos_token;
    std::optional<bool> watermark;
    std::optional<std::uint64_t> truncate_prompt_tokens;
    std::optional<bool> include_stop_str_in_output;
    std::optional<std::int32_t> return_k_alternatives;
    std::optional<text_or_json> guided_json;  ///< A schema, or its text.
    std::optional<raw_json> guided_regex;
    std::optional<raw_json> guided_choice;
    std::optional<raw_json> guided_grammar;
    std::optional<raw_json> structured_outputs;  ///< vLLM's later name of `guided_json`.
    std::optional<raw_json> stop_token_ids;
    std::optional<raw_json> allowed_token_ids;
    std::optional<raw_json> bad_words;
    std::optional<raw_json> use_beam_search;
    std::optional<raw_json> prompt_logprobs;
};

struct completion_body : text_body {
    text_or_json prompt;  ///< A string, strings, token ids, or lists of token ids.
    std::optional<std::string> suffix;
    std::optional<std::int64_t> logprobs;
    std::optional<bool> echo;
    std::optional<std::int64_t> best_of;

    static const object_schema& schema();
};

/// The same as a LoRAX router reads it (contract section 5.2).
struct lorax_completion_body {
    std::string model;
    std::string prompt;
    std::optional<std::int32_t> max_tokens;
    std::optional<float> temperature;
    std::optional<float> top_p;
    std::optional<std::int32_t> n;
    std::optional<bool> stream;
    std::optional<std::int32_t> logprobs;
    std::optional<bool> echo;
    std::optional<std::vector<std::string>> stop;
    std::optional<float> presence_penalty;
    std::optional<float> frequency_penalty;
    std::optional<std::int32_t> best_of;
    std::optional<std::uint64_t> seed;
    std::optional<float> repetition_penalty;
    std::optional<std::int32_t> top_k;
    std::optional<bool> ignore_eos_token;
    std::optional<std::string> adapter_source;
    std::optional<std::string> api_token;

    static const object_schema& schema();
};

struct chat_body : text_body {
    raw_json messages;
    std::optional<std::int64_t> max_completion_tokens;
    std::optional<bool> logprobs;
    std::optional<std::int64_t> top_logprobs;
    std::optional<raw_json> tools;
    std::optional<text_or_json> tool_choice;
    std::optional<bool> parallel_tool_calls;
    std::optional<raw_json> functions;
    std::optional<text_or_json> function_call;
    std::optional<raw_json> audio;

    std::optional<std::string> tool_prompt;
    std::optional<std::string> guideline;
    std::optional<raw_json> documents;
    std::optional<bool> add_generation_prompt;
    std::optional<bool> continue_final_message;
    std::optional<raw_json> chat_template_kwargs;
    std::optional<std::string> chat_template;

    static const object_schema& schema();
};

/// The same as a LoRAX router reads it (contract section 5.3).
struct lorax_chat_body {
    std::string model;
    raw_json messages;
    std::optional<float> temperature;
    std::optional<float> top_p;
    std::optional<std::int32_t> n;
    std::optional<std::int32_t> max_tokens;
    std::optional<std::vector<std::string>> stop;
    std::optional<bool> stream;
    std::optional<float> presence_penalty;
    std::optional<float> frequency_penalty;
    std::optional<std::uint64_t> seed;
    std::optional<raw_json> response_format;
    std::optional<raw_json> tools;
    std::optional<text_or_json> tool_choice;
    std::optional<float> repetition_penalty;
    std::optional<std::int32_t> top_k;
    std::optional<bool> ignore_eos_token;
    std::optional<std::string> adapter_source;
    std::optional<std::string> api_token;
    std::optional<std::string> tool_prompt;
    std::optional<std::string> guideline;

    static const object_schema& schema();
};

}  // namespace truffula::api::openai
