#include "text/schema_keywords.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace truffula::text {
namespace {

using json = nlohmann::ordered_json;
using kind = keyword_kind;

struct keyword {
    std::string_view name;
    kind value;
};

constexpr std::array keywords{
    keyword{"$comment", kind::text},
    keyword{"$defs", kind::named_schemas},
    keyword{"$id", kind::text},
    keyword{"$ref", kind::text},
    keyword{"$schema", kind::text},
    keyword{"additionalItems", kind::schema},
    keyword{"additionalProperties", kind::schema},
    keyword{"allOf", kind::schemas},
    keyword{"anyOf", kind::schemas},
    keyword{"contains", kind::schema},
    keyword{"definitions", kind::named_schemas},
    keyword{"dependencies", kind::dependencies},
    keyword{"dependentRequired", kind::texts_by_name},
    keyword{"dependentSchemas", kind::named_schemas},
    keyword{"description", kind::text},
    keyword{"else", kind::schema},
    keyword{"enum", kind::non_empty_list},
    keyword{"exclusiveMaximum", kind::limit},
    keyword{"exclusiveMinimum", kind::limit},
    keyword{"format", kind::text},
    keyword{"if", kind::schema},
    keyword{"items", kind::schema_or_list},
    keyword{"maxItems", kind::count},
    keyword{"maxLength", kind::count},
    keyword{"maxProperties", kind::count},
    keyword{"maximum", kind::number},
    keyword{"minItems", kind::count},
    keyword{"minLength", kind::count},
    keyword{"minProperties", kind::count},
    keyword{"minimum", kind::number},
    keyword{"multipleOf", kind::positive},
    keyword{"not", kind::schema},
    keyword{"oneOf", kind::schemas},
    keyword{"pattern", kind::text},
    keyword{"patternProperties", kind::named_schemas},
    keyword{"prefixItems", kind::schemas},
    keyword{"properties", kind::named_schemas},
    keyword{"propertyNames", kind::schema},
    keyword{"required", kind::texts},
    keyword{"then", kind::schema},
    keyword{"title", kind::text},
    keyword{"type", kind::type},
    keyword{"uniqueItems", kind::boolean},
};

bool is_count(const json& value) {
    return value.is_number_unsigned() || (value.is_number_integer() && value.get<long long>() >= 0);
}

bool is_type_name(const json& value) {
    static constexpr std::array<std::string_view, 7> names{
        "array", "boolean", "integer", "null", "number", "object", "string"};
    if (!value.is_string()) return false;
    const auto& name = value.get_ref<const std::string&>();
    return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::optional<keyword_kind> find_keyword(std::string_view name) noexcept {
    const auto found = std::ranges::find(keywords, name, &keyword::name);
    if (found == keywords.end()) return std::nullopt;
    return found->value;
}

bool are_texts(const json& value) {
    if (!value.is_array()) return false;
    std::set<std::string_view> seen;
    return std::all_of(value.begin(), value.end(), [&](const json& item) {
        return item.is_string() && seen.insert(item.get_ref<const std::string&>()).second;
    });
}

std::optional<std::string> plain_fault(keyword_kind wanted, const json& value) {
    const auto check = [](bool good, const char* words) {
        return good ? std::nullopt : std::optional<std::string>{words};
    };
    switch (wanted) {
        case kind::text: return check(value.is_string(), "must be a string");
        case kind::number: return check(value.is_number(), "must be a number");
        case kind::positive:
            return check(value.is_number() && value.get<double>() > 0, "must be a number above 0");
        case kind::count: return check(is_count(value), "must be an integer of 0 or more");
        case kind::boolean: return check(value.is_boolean(), "must be true or false");
        case kind::limit: return check(value.is_number() || value.is_boolean(), "must be a number");
        case kind::texts: return check(are_texts(value), "must be a list of different strings");
        case kind::type:
            return check(
                is_type_name(value) || (are_texts(value) && !value.empty() &&
                                        std::all_of(value.begin(), value.end(), is_type_name)),
                "must be one or a list of array, boolean, integer, null, number, object, string");
        case kind::non_empty_list:
            return check(value.is_array() && !value.empty(), "must be a list, and not empty");
        case kind::texts_by_name:
            return check(
                value.is_object() && std::all_of(value.begin(), value.end(), are_texts),
                "must be an object of lists of different strings");
        default: return std::nullopt;
    }
}

}  // namespace truffula::text
