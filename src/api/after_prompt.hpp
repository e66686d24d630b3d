#pragma once

#include "truffula/inference/token_stream.hpp"

#include <boost/asio/awaitable.hpp>

#include <memory>

namespace truffula::api {

using stream_ptr = std::unique_ptr<inference::token_stream>;

/// Waits until the shards have computed the prompt of `stream`: its first token is there. The
/// stream that comes back gives all steps, as if nobody had looked.
///
/// \errors those of the stream, if it ends before. \cancellation terminal: the request is
/// cancelled, too.
boost::asio::awaitable<result<stream_ptr>> after_prompt(stream_ptr stream);

}  // namespace truffula::api
