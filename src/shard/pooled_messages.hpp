#pragma once

#include "shard/messages.hpp"
#include "truffula/shard/answers.hpp"
#include "truffula/shard/shard_group.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace truffula::shard {

// Embed and Classify (contract section 12.2: no parameters, no stopping parameters, `truncate` 0).

std::string embed_message(const prefill_batch& batch);
std::string classify_message(const prefill_batch& batch);

/// One result for each request answered, in the shard's order; an id may come twice.
///
/// \errors `errc::protocol` if `bytes` is no such message; `errc::rpc_failed` with the shard's
/// words when `errorMsg` is set.
result<std::vector<pooled_result>> read_embed_answer(std::string_view bytes);
result<std::vector<pooled_result>> read_classify_answer(std::string_view bytes);

}  // namespace truffula::shard
