#include "truffula/batching/block_rules.hpp"

#include <string>

namespace truffula::batching {
namespace {

error refuse(std::string why) {
    return {errc::invalid_config, std::move(why)};
}

}  // namespace

result<> check_blocks(
    const shard::model_info& model, std::uint32_t total_token_budget, bool prefix_caching) {
    if (prefix_caching && !model.requires_block_allocator) {
        return refuse(
            "`prefix_caching` needs shards that are given blocks, of 1 token each; these shards "
            "want none: leave it out");
    }
    if (!model.requires_block_allocator) return {};
    const auto size = model.block_size;
    if (size == 0)
        return refuse("the shards say that a block holds 0 tokens; at least 1 is needed");
    if (prefix_caching && size != 1) {
        return refuse(
            "`prefix_caching` needs shards with blocks of 1 token, others ignore what is cached; "
            "these have blocks of " +
            std::to_string(size) +
            " tokens: leave it out, or start the shards with prefix caching, too");
    }
    if (total_token_budget / size >= 2) return {};
    return refuse(
        "`max_batch_total_tokens` must hold 2 blocks at least, one of them is for health checks. "
        "Given: " +
        std::to_string(total_token_budget) + " tokens and blocks of " + std::to_string(size));
}

}  // namespace truffula::batching
