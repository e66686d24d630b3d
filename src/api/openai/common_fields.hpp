#pragma once

#include "truffula/api/openai/text_body.hpp"

#include <array>
#include <cstddef>

namespace truffula::api::openai {

inline constexpr std::string_view stop_shape =
    R"({"oneOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]})";
inline constexpr std::string_view object_shape = R"({"type":"object"})";

/// The fields that completions and chat share, for the schema of `Body`.
template <class Body>
constexpr auto common_fields() {
    using common = text_body;
    return std::array{
        detail::make_field<&common::model, Body>(
            "model",
            presence::required,
            "The base model's name, or an adapter's: answers come from it",
            {}),
        inherited_field<Body, &common::max_tokens>("max_tokens", "Most tokens of the answer"),
        inherited_field<Body, &common::temperature>(
            "temperature", "Above 0: tokens are sampled; 0: the most likely are taken"),
        inherited_field<Body, &common::top_p>(
            "top_p", "Sample from the likeliest tokens of this mass"),
        inherited_field<Body, &common::n>("n", "Answers to each prompt"),
        inherited_field<Body, &common::stream>("stream", "Answer as server-sent events"),
        inherited_field<Body, &common::stream_options>("stream_options", "Only with stream"),
        inherited_field<Body, &common::stop>(
            "stop", "Texts that end the answer; they are no part of it", stop_shape),
        inherited_field<Body, &common::presence_penalty>(
            "presence_penalty", "From -2 to 2: against tokens that were there"),
        inherited_field<Body, &common::frequency_penalty>(
            "frequency_penalty", "From -2 to 2: against tokens by how often they were there"),
        inherited_field<Body, &common::logit_bias>(
            "logit_bias", "Not supported: only an empty object is accepted", object_shape),
        inherited_field<Body, &common::user>("user", "Accepted, without effect"),
        inherited_field<Body, &common::seed>("seed", "Makes sampling repeatable"),
        inherited_field<Body, &common::response_format>(
            "response_format", "text, json_object, or json_schema with its schema", object_shape),
        inherited_field<Body, &common::adapter_id>(
            "adapter_id", "LoRA adapter, instead of the one that model names"),
        inherited_field<Body, &common::adapter_source>("adapter_source", "hub, s3, local or pbase"),
        inherited_field<Body, &common::merged_adapters>(
            "merged_adapters", "Several adapters as one"),
        inherited_field<Body, &common::api_token>(
            "api_token", "Token for the adapter's source, instead of the bearer token"),
        inherited_field<Body, &common::top_k>(
            "top_k", "Sample from so many of the likeliest tokens; 0 or -1: all"),
        inherited_field<Body, &common::min_p>("min_p", "Not supported: only 0 is accepted"),
        inherited_field<Body, &common::typical_p>("typical_p", "Typical decoding, below 1"),
        inherited_field<Body, &common::repetition_penalty>(
            "repetition_penalty", "Above 0; 1: none"),
        inherited_field<Body, &common::min_tokens>(
            "min_tokens", "Not supported: only 0 is accepted"),
        inherited_field<Body, &common::ignore_eos>("ignore_eos", "Go on after an end token"),
        inherited_field<Body, &common::ignore_eos_token>("ignore_eos_token", "As ignore_eos"),
        inherited_field<Body, &common::watermark>("watermark", "Watermark the answer"),
        inherited_field<Body, &common::truncate_prompt_tokens>(
            "truncate_prompt_tokens", "Keep only the last tokens of the prompt"),
        inherited_field<Body, &common::include_stop_str_in_output>(
            "include_stop_str_in_output", "Leave the stop text in the answer"),
        inherited_field<Body, &common::return_k_alternatives>(
            "return_k_alternatives", "As logprobs: other tokens at each place"),
        inherited_field<Body, &common::guided_json>(
            "guided_json",
            "JSON Schema of the answer",
            R"({"oneOf":[{"type":"object"},{"type":"string"}]})"),
        inherited_field<Body, &common::guided_regex>("guided_regex", "Not supported"),
        inherited_field<Body, &common::guided_choice>("guided_choice", "Not supported"),
        inherited_field<Body, &common::guided_grammar>("guided_grammar", "Not supported"),
        inherited_field<Body, &common::structured_outputs>(
            "structured_outputs",
            "json: a JSON Schema of the answer; json_object: true asks for any object",
            object_shape),
        inherited_field<Body, &common::stop_token_ids>("stop_token_ids", "Not supported: use stop"),
        inherited_field<Body, &common::allowed_token_ids>("allowed_token_ids", "Not supported"),
        inherited_field<Body, &common::bad_words>("bad_words", "Not supported"),
        inherited_field<Body, &common::use_beam_search>(
            "use_beam_search", "Not supported: only false is accepted"),
        inherited_field<Body, &common::prompt_logprobs>("prompt_logprobs", "Not supported"),
    };
}

/// The common fields, then those of one route.
template <class Body, std::size_t Size>
constexpr auto with_common_fields(const std::array<field, Size>& own) {
    constexpr auto common = common_fields<Body>();
    std::array<field, common.size() + Size> all{};
    for (std::size_t i = 0; i < common.size(); ++i) all[i] = common[i];
    for (std::size_t i = 0; i < Size; ++i) all[common.size() + i] = own[i];
    static_assert(common.size() + Size <= 64, "json_reader keeps the fields seen in 64 bits");
    return all;
}

}  // namespace truffula::api::openai
