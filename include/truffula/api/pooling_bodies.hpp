#pragma once

#include "truffula/api/generate_body.hpp"
#include "truffula/api/json_fields.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace truffula::api {

// Requests that do not generate, as clients write them (contract section 5.4), unchecked but for
// their types.

/// Which adapter an embedding is computed with.
struct embed_parameters {
    std::optional<std::string> adapter_id;
    std::optional<std::string> adapter_source;
    std::optional<merged_adapters_body> merged_adapters;
    std::optional<std::string> api_token;  ///< Never logged.

    static const object_schema& schema();
};

/// Of `/embed`.
struct embed_body {
    std::string inputs;
    embed_parameters parameters;

    static const object_schema& schema();
};

/// Of `/v1/embeddings`.
struct embeddings_body {
    text_or_json input;
    std::string model;
    std::optional<std::string> encoding_format;
    std::optional<std::int32_t> dimensions;
    std::optional<std::string> user;  ///< No effect.
    embed_parameters parameters;
    std::optional<std::string> adapter_id;  ///< As in `parameters`, for clients with `extra_body`.
    std::optional<std::string> adapter_source;
    std::optional<std::string> api_token;

    static const object_schema& schema();
};

/// Of `/classify`.
struct classify_body {
    std::string inputs;

    static const object_schema& schema();
};

/// Of `/classify_batch`.
struct classify_batch_body {
    std::vector<std::string> inputs;

    static const object_schema& schema();
};

}  // namespace truffula::api
