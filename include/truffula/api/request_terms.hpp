#pragma once

#include "truffula/error/error.hpp"
#include "truffula/http/message.hpp"
#include "truffula/inference/request.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace truffula::api {

/// What the headers of a request say of its scheduling.
struct request_terms {
    /// It has to be in a batch by then.
    std::optional<std::chrono::steady_clock::time_point> deadline;
    inference::priority priority = inference::priority::interactive;
};

/// Reads `x-truffula-deadline-ms` (milliseconds from the request's arrival) and
/// `x-truffula-priority` (`interactive` or `batch`).
///
/// \errors `errc::validation`.
result<request_terms> read_terms(const http::request& from);

/// The token of `Authorization: Bearer …`, for requests that bring none in the body.
std::optional<std::string> bearer_token(const http::request& from);

}  // namespace truffula::api
