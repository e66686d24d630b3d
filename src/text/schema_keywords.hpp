#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// The keywords of JSON Schema, drafts 4 to 2020-12.
namespace truffula::text {

/// What the value of a keyword is.
enum class keyword_kind : std::uint8_t {
    text,
    number,
    positive,  // above 0
    count,     // integer, not negative
    boolean,
    limit,  // number, or boolean in draft 4
    texts,  // list of different strings
    type,
    non_empty_list,
    schema,
    schemas,         // list of schemas, not empty
    schema_or_list,  // `items`
    named_schemas,   // object of schemas
    dependencies,    // object of schemas or lists of strings
    texts_by_name,
};

/// Nothing for a keyword that is not known.
std::optional<keyword_kind> find_keyword(std::string_view name) noexcept;

/// What is wrong with a value that holds no schemas; nothing is fine.
std::optional<std::string> plain_fault(keyword_kind wanted, const nlohmann::ordered_json& value);

/// A list of different strings?
bool are_texts(const nlohmann::ordered_json& value);

}  // namespace truffula::text
