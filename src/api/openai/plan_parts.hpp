#pragma once

#include "truffula/api/openai/text_plan.hpp"

#include <cstdint>
#include <optional>
#include <string>

// What the plans of completions and chat share.
namespace truffula::api::openai {

/// Why a body is refused; nothing: it is not.
using refused = std::optional<fault>;

inline bool is_given(const std::optional<raw_json>& value) {
    return value && !value->is_null();
}

inline bool fits(std::int64_t value, std::int64_t least, std::int64_t most) {
    return value >= least && value <= most;
}

/// A field that no shard can heed.
///
/// \param allowed what may be given instead.
fault unsupported(const std::string& name, const std::string& allowed);

/// What constrains the answer: at most one of the fields for it.
refused plan_format(const text_body& body, std::optional<response_format_body>& to);

/// A seed for many sequences is that of the first: each has its own.
void plan_seed(text_plan& plan, const std::optional<std::int64_t>& seed);

}  // namespace truffula::api::openai
