#pragma once

#include "truffula/error/error.hpp"
#include "truffula/shard/shard_group.hpp"
#include "truffula/shard/transport.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::shard {

/// One call, sent to every shard of a group, in rank order.
using calls = std::vector<std::unique_ptr<direct_call<std::string>>>;

/// When the last of the shards answered a call; shared with calls that may outlive their group.
using arrival = std::shared_ptr<std::optional<std::chrono::steady_clock::time_point>>;

using pooled_reader = result<std::vector<pooled_result>> (*)(std::string_view bytes);

/// Waits for all; the first error wins, but only once every shard has answered: a call must not
/// overtake another on one shard of the group. So do those below.
boost::asio::awaitable<result<std::vector<std::string>>> gather(calls& pending);

/// Prefill or Decode: generations side by side, the last shard's batch.
///
/// \errors `errc::protocol` if the shards tell of different batches; those of the calls.
std::unique_ptr<direct_call<step_answer>> unite_step(calls pending, arrival answered);

/// FilterBatch; as `unite_step`.
std::unique_ptr<pending_call<cached_batch>> unite_filter(calls pending, arrival answered);

/// Embed or Classify: every shard computes the whole batch, the first answer for an id counts.
///
/// \errors those of the calls and of `read`.
std::unique_ptr<pending_call<std::vector<pooled_result>>> unite_pooled(
    calls pending, pooled_reader read);

}  // namespace truffula::shard
