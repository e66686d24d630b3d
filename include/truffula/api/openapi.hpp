#pragma once

#include "truffula/api/compat.hpp"
#include "truffula/api/json_fields.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace truffula::api {

/// Whose errors a route answers.
enum class error_shape : std::uint8_t {
    none,    ///< It refuses nothing.
    native,  ///< `{"error","error_type"}`, and plain text for bodies that cannot be read.
    openai,  ///< `{"error":{"message","type","param","code"}}`.
};

/// What the document says of one route.
struct operation {
    std::string_view method;  ///< Lower case.
    std::string_view path;    ///< With `{name}` for a part that varies.
    std::string_view tag;
    std::string_view summary;
    const object_schema& (*body)();  ///< Null: none is read.
    std::string_view answer;         ///< Name of the answer's schema; empty: no body.
    std::string_view answer_type = "application/json";
    bool is_list = false;     ///< The answer is a list of that schema.
    bool may_stream = false;  ///< It may be server-sent events.
    error_shape errors = error_shape::native;
    std::string_view statuses{};  ///< Of errors, separated by blanks.
};

/// All routes, as they are with these settings.
std::span<const operation> operations(compat of);

/// The OpenAPI 3.1 document: requests from the tables that bodies are read by.
std::string openapi_document(compat of, std::string_view version);

}  // namespace truffula::api
