#pragma once

#include "api/generation.hpp"
#include "truffula/api/answers.hpp"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace truffula::api {

using header_list = std::vector<std::pair<std::string, std::string>>;

/// As headers tell times: whole milliseconds, truncated, never negative.
std::string milliseconds(std::chrono::steady_clock::duration d);

/// The headers of contract section 9 that every generation has.
header_list common_headers(const generation_call& call);

/// Those of a whole answer; times are whole milliseconds.
header_list whole_headers(
    const generation_call& call,
    const collected_answer& best,
    std::uint32_t prompt_tokens,
    std::chrono::steady_clock::time_point now);

}  // namespace truffula::api
