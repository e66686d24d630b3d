#pragma once

#include "truffula/api/json_fields.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace truffula::api {

/// Arrays and objects in one another, the outermost counted, that a body may have at most.
inline constexpr std::size_t max_json_depth = 512;

/// Why a body was not taken. Native routes answer `text` as plain text (contract section 7).
struct rejection {
    int status;
    std::string text;
    std::string path{};     ///< Of the field, as in `a.b[3]`; empty: the body as a whole.
    std::string reason{};   ///< The text without what comes before the reason.
    std::string missing{};  ///< The field that is not there; `path` is the object that lacks it.
};

/// Reads the first JSON value of `body` into `target`, whose type `schema` is for. What follows
/// that value is ignored, and so are fields that the schema does not name.
///
/// \return nothing on success. 400 for what is not JSON: bad UTF-8, a byte order mark, a number
/// beyond a double, nesting above `max_json_depth`. 422, with the field's path, for a wrong type,
/// a number out of the field's range, a missing field, a known field given twice. `target` is then
/// partly filled.
std::optional<rejection> read_json(
    std::string_view body, const object_schema& schema, void* target);

/// Why a body is not taken whose field at `path` cannot be what it is (422).
rejection wrong_field(std::string path, std::string reason);

/// True for `application/json` and `application/…+json`, in any case, with or without parameters.
bool is_json_content_type(std::string_view value) noexcept;

/// The answer to a body of another content type.
rejection wrong_content_type();

}  // namespace truffula::api
