#include "truffula/api/generate_body.hpp"

#include <array>

namespace truffula::api {
namespace {

using merged = merged_adapters_body;
using format = response_format_body;
using params = generate_parameters;

constexpr std::array<std::string_view, 6> format_types{
    "text", "json_object", "json_schema", "Text", "JsonObject", "JsonSchema"};

constexpr std::array merged_fields{
    required_field<&merged::ids>("ids", "Adapters to merge"),
    optional_field<&merged::weights>("weights", "One weight for each adapter"),
    optional_field<&merged::merge_strategy>(
        "merge_strategy", "linear, ties, dare_linear or dare_ties"),
    optional_field<&merged::density>("density", "Share of weights kept by the sparse strategies"),
    optional_field<&merged::majority_sign_method>(
        "majority_sign_method", "How ties elects signs: total or frequency"),
};

constexpr std::array format_fields{
    required_field<&format::type>("type", "Accepted, without effect", format_types),
    optional_field<&format::answer_schema>("schema", "JSON Schema of the answer; null: none"),
};

constexpr std::array parameter_fields{
    optional_field<&params::adapter_id>("adapter_id", "LoRA adapter; empty: the base model"),
    optional_field<&params::adapter_source>("adapter_source", "hub, s3, local or pbase"),
    optional_field<&params::merged_adapters>("merged_adapters", "Several adapters as one"),
    optional_field<&params::api_token>("api_token", "Token for the adapter's source"),
    optional_field<&params::best_of>("best_of", "Sequences to generate; the best is returned"),
    optional_field<&params::temperature>("temperature", "At least 0"),
    optional_field<&params::repetition_penalty>("repetition_penalty", "Above 0; 1: none"),
    optional_field<&params::frequency_penalty>("frequency_penalty", "From -2 to 2"),
    optional_field<&params::presence_penalty>("presence_penalty", "From -2 to 2"),
    optional_field<&params::top_k>("top_k", "Most likely tokens to pick from; above 0"),
    optional_field<&params::top_p>("top_p", "Probability mass to pick from; above 0, at most 1"),
    optional_field<&params::typical_p>("typical_p", "Typical mass to pick from; between 0 and 1"),
    optional_field<&params::do_sample>("do_sample", "Pick at random"),
    optional_field<&params::max_new_tokens>("max_new_tokens", "Tokens to generate at most"),
    optional_field<&params::ignore_eos_token>("ignore_eos_token", "Go on after the end token"),
    optional_field<&params::return_full_text>("return_full_text", "Put the prompt before the text"),
    optional_field<&params::stop>("stop", "Texts that end the answer"),
    optional_field<&params::truncate>("truncate", "Keep the last tokens of the prompt only"),
    optional_field<&params::watermark>("watermark", "Watermark the answer"),
    optional_field<&params::details>("details", "Return tokens and counts"),
    optional_field<&params::decoder_input_details>(
        "decoder_input_details", "Return the prompt's tokens with their log-probabilities"),
    optional_field<&params::return_k_alternatives>(
        "return_k_alternatives", "Alternatives to return for each token; above 0"),
    optional_field<&params::apply_chat_template>(
        "apply_chat_template", "Give the prompt to the model as what a user says"),
    optional_field<&params::seed>("seed", "Makes sampling repeatable"),
    optional_field<&params::response_format>("response_format", "Constrains the answer to JSON"),
};

constexpr std::array generate_fields{
    required_field<&generate_body::inputs>("inputs", "The prompt"),
    optional_field<&generate_body::parameters>("parameters", "How to answer"),
};

constexpr std::array switch_fields{
    generate_fields[0],
    generate_fields[1],
    optional_field<&generate_body::stream>("stream", "Answer as server-sent events"),
};

constexpr std::array tokenize_fields{
    required_field<&tokenize_body::inputs>("inputs", "Text to cut into tokens"),
    optional_field<&tokenize_body::add_special_tokens>(
        "add_special_tokens", "Add what the model puts around a prompt"),
};

static_assert(parameter_fields.size() <= 64, "json_reader keeps the fields seen in 64 bits");

}  // namespace

const object_schema& merged_adapters_body::schema() {
    static constexpr object_schema instance{"AdapterParameters", merged_fields};
    return instance;
}

const object_schema& response_format_body::schema() {
    static constexpr object_schema instance{"ResponseFormat", format_fields};
    return instance;
}

const object_schema& generate_parameters::schema() {
    static constexpr object_schema instance{"GenerateParameters", parameter_fields};
    return instance;
}

const object_schema& generate_body::schema() {
    static constexpr object_schema instance{"GenerateRequest", generate_fields};
    return instance;
}

const object_schema& generate_body::switch_schema() {
    static constexpr object_schema instance{"CompatGenerateRequest", switch_fields};
    return instance;
}

const object_schema& tokenize_body::schema() {
    static constexpr object_schema instance{"TokenizeRequest", tokenize_fields};
    return instance;
}

}  // namespace truffula::api
