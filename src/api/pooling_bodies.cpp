#include "truffula/api/pooling_bodies.hpp"

#include <array>

namespace truffula::api {
namespace {

using params = embed_parameters;
using openai = embeddings_body;

constexpr std::array parameter_fields{
    optional_field<&params::adapter_id>("adapter_id", "LoRA adapter; empty: the base model"),
    optional_field<&params::adapter_source>("adapter_source", "hub, s3, local or pbase"),
    optional_field<&params::merged_adapters>("merged_adapters", "Several adapters as one"),
    optional_field<&params::api_token>("api_token", "Token for the adapter's source"),
};

constexpr std::array embed_fields{
    required_field<&embed_body::inputs>("inputs", "Text to embed"),
    optional_field<&embed_body::parameters>("parameters", "Which adapter to use"),
};

// An empty list is an error of the server in LoRAX: no description should offer it.
constexpr std::string_view input_shape =
    R"({"oneOf":[{"type":"string"},{"type":"array","minItems":1,"items":{"type":"string"}},)"
    R"({"type":"array","minItems":1,"items":{"type":"integer"}},)"
    R"({"type":"array","minItems":1,"items":{"type":"array","items":{"type":"integer"}}}]})";
constexpr std::string_view texts_shape =
    R"({"type":"array","minItems":1,"items":{"type":"string"}})";

constexpr std::array embeddings_fields{
    required_field<&openai::input>(
        "input", "Text or token ids, one or a list of either", input_shape),
    required_field<&openai::model>("model", "The served model, or an adapter"),
    optional_field<&openai::encoding_format>(
        "encoding_format", "float, or base64 of little-endian 32-bit floats"),
    optional_field<&openai::dimensions>("dimensions", "The model's own size, or left out"),
    optional_field<&openai::user>("user", "Accepted, without effect"),
    optional_field<&openai::parameters>("parameters", "Which adapter to use"),
    optional_field<&openai::adapter_id>("adapter_id", "LoRA adapter; goes before `model`"),
    optional_field<&openai::adapter_source>("adapter_source", "hub, s3, local or pbase"),
    optional_field<&openai::api_token>("api_token", "Token for the adapter's source"),
};

constexpr std::array classify_fields{
    required_field<&classify_body::inputs>("inputs", "Text whose tokens are classified"),
};

constexpr std::array classify_batch_fields{
    required_field<&classify_batch_body::inputs>(
        "inputs", "Texts whose tokens are classified", texts_shape),
};

}  // namespace

const object_schema& embed_parameters::schema() {
    static constexpr object_schema all{"EmbedParameters", parameter_fields};
    return all;
}

const object_schema& embed_body::schema() {
    static constexpr object_schema all{"EmbedRequest", embed_fields};
    return all;
}

const object_schema& embeddings_body::schema() {
    static constexpr object_schema all{"EmbeddingsRequest", embeddings_fields};
    return all;
}

const object_schema& classify_body::schema() {
    static constexpr object_schema all{"ClassifyRequest", classify_fields};
    return all;
}

const object_schema& classify_batch_body::schema() {
    static constexpr object_schema all{"ClassifyBatchRequest", classify_batch_fields};
    return all;
}

}  // namespace truffula::api
