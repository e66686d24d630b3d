#pragma once

#include "truffula/api/json_fields.hpp"
#include "truffula/api/openai/fault.hpp"

#include <optional>
#include <string>

namespace truffula::api::openai {

/// Checks a conversation and gives it the form that templates expect: contents as one text, parts
/// joined, images as `![](url)`; `developer` as `system`. Keys that are not known are kept for the
/// template.
///
/// \param to the messages as a JSON array.
/// \param image_at where the first image is: `messages[2].content[0]`; empty: there is none.
/// \return what is wrong and where: `messages[2].content[0].type`.
std::optional<fault> read_messages(const raw_json& given, std::string& to, std::string& image_at);

/// The same as a LoRAX router reads it: only role, content and name count.
///
/// \return a rejection like those of the native routes.
std::optional<rejection> read_lorax_messages(const raw_json& given, std::string& to);

}  // namespace truffula::api::openai
