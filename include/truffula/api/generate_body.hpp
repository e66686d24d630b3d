#pragma once

#include "truffula/api/json_fields.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::api {

// Requests of the native routes as clients write them (contract section 5.1), unchecked but for
// their types.

/// Several adapters as one.
struct merged_adapters_body {
    std::vector<std::string> ids;
    std::vector<float> weights;
    std::optional<std::string> merge_strategy;
    float density = 0.0F;
    std::optional<std::string> majority_sign_method;

    static const object_schema& schema();
};

/// The schema that constrains an answer when a request asks for JSON and names none.
inline constexpr std::string_view default_answer_schema =
    R"({"additionalProperties":{"type":["object","string","integer","number","boolean","null"]},)"
    R"("title":"ArbitraryJsonModel","type":"object"})";

/// What the answer has to look like. `type` has no effect.
struct response_format_body {
    std::string type;
    raw_json answer_schema{std::string{default_answer_schema}};  ///< `null`: no constraint.
    bool is_checked = false;  ///< The schema is known to be one; no request says so.

    static const object_schema& schema();
};

struct generate_parameters {
    std::optional<std::string> adapter_id;
    std::optional<std::string> adapter_source;
    std::optional<merged_adapters_body> merged_adapters;
    std::optional<std::string> api_token;  ///< Never logged.
    std::optional<std::uint64_t> best_of;
    std::optional<float> temperature;
    std::optional<float> repetition_penalty;
    std::optional<float> frequency_penalty;
    std::optional<float> presence_penalty;
    std::optional<std::int32_t> top_k;
    std::optional<float> top_p;
    std::optional<float> typical_p;
    bool do_sample = false;
    std::optional<std::uint32_t> max_new_tokens;
    bool ignore_eos_token = false;
    std::optional<bool> return_full_text;
    std::vector<std::string> stop;
    std::optional<std::uint64_t> truncate;
    bool watermark = false;
    bool details = false;
    bool decoder_input_details = false;
    std::optional<std::int32_t> return_k_alternatives;
    bool apply_chat_template = false;  ///< `inputs` is what a user says.
    std::optional<std::uint64_t> seed;
    std::optional<response_format_body> response_format;

    /// Sequences asked for: 1 unless `best_of` names more.
    std::uint64_t sequences() const noexcept { return best_of && *best_of > 1 ? *best_of : 1; }
    /// Whether the answer carries details: asking for prompt details asks for both.
    bool wants_details() const noexcept { return details || decoder_input_details; }

    static const object_schema& schema();
};

struct generate_body {
    std::string inputs;
    generate_parameters parameters;
    bool stream = false;  ///< Read by `switch_schema` only.

    // What no native request says.
    std::optional<std::vector<std::uint32_t>> ids;  ///< The prompt's, `inputs` being their text.
    bool adds_special = true;  ///< Encode with what the model puts around a prompt.

    /// Of `/generate` and `/generate_stream`.
    static const object_schema& schema();
    /// Of `/` and `/invocations`: with `stream`.
    static const object_schema& switch_schema();
};

/// Of `/tokenize`.
struct tokenize_body {
    std::string inputs;
    std::optional<bool> add_special_tokens;  ///< Default true.

    static const object_schema& schema();
};

}  // namespace truffula::api
