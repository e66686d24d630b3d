#pragma once

#include "api/sequence_set.hpp"
#include "truffula/api/answers.hpp"
#include "truffula/inference/token_stream.hpp"

#include <boost/asio/awaitable.hpp>

#include <vector>

namespace truffula::api {

/// Waits for the whole answer. `stream` must live until then.
///
/// \errors of the stream; `errc::incomplete_generation` when it ends before its last step.
boost::asio::awaitable<result<collected_answer>> collect(inference::token_stream& stream);

/// The same for several at once, in their order; the first error ends all.
boost::asio::awaitable<result<std::vector<collected_answer>>> collect_all(sequence_set& all);

}  // namespace truffula::api
