#pragma once

#include "truffula/error/error.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace truffula::text {

/// Bounds of a JSON schema that goes to a shard. Shards expand references and build an automaton
/// of the whole, so what counts is the size after that.
struct schema_limits {
    std::size_t bytes = 262'144;  ///< Of the compact text.
    std::size_t depth = 32;       ///< Schemas in schemas, references not followed.
    std::size_t nodes = 8192;     ///< Schemas, with each reference replaced by what it means.
};

/// Checks a JSON schema before it reaches a shard: keywords have values of the right kind (drafts 4
/// to 2020-12), references are local, lead to a schema and not in a circle, limits hold. Gives it
/// compact, keys in the order they came; a key that comes twice is an error.
///
/// \param path how the request calls it, e.g. `response_format.schema`; errors begin with it.
/// \errors `errc::validation` with the path of the first wrong place.
result<std::string> check_schema(
    std::string_view schema, const std::string& path, const schema_limits& limits = {});

}  // namespace truffula::text
