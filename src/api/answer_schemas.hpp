#pragma once

#include <string_view>

namespace truffula::api {

/// JSON Schemas of all answers, by name, as one JSON object.
extern const std::string_view answer_schemas;

}  // namespace truffula::api
