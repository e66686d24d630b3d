#pragma once

#include "truffula/api/answers.hpp"
#include "truffula/inference/token_stream.hpp"

#include <boost/asio/awaitable.hpp>

namespace truffula::api {

/// Waits for the whole answer. `stream` must live until then.
///
/// \errors of the stream; `errc::incomplete_generation` when it ends before its last step.
boost::asio::awaitable<result<collected_answer>> collect(inference::token_stream& stream);

}  // namespace truffula::api
