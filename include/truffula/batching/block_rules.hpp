#pragma once

#include "truffula/error/error.hpp"
#include "truffula/shard/answers.hpp"

#include <cstdint>

namespace truffula::batching {

/// Whether the shards' blocks can be worked with, for shards that are given blocks.
///
/// \param total_token_budget tokens that all blocks together hold.
/// \errors `errc::invalid_config`, with the numbers and what to change: blocks of 0 tokens; fewer
/// than 2 blocks (one belongs to health checks); prefix caching on shards that ignore cached
/// tokens.
result<> check_blocks(
    const shard::model_info& model, std::uint32_t total_token_budget, bool prefix_caching);

}  // namespace truffula::batching
