#include "truffula/batching/block_rules.hpp"

#include <catch2/catch.hpp>

using namespace truffula;

namespace {

shard::model_info paged(std::uint32_t block_size) {
    shard::model_info m;
    m.requires_block_allocator = true;
    m.block_size = block_size;
    return m;
}

std::string why(const result<>& r) {
    return r ? "" : r.error().detail;
}

}  // namespace

TEST_CASE("block rules: blocks must hold something, and one must be left", "[batching]") {
    CHECK(batching::check_blocks(paged(16), 32, false).has_value());
    CHECK(
        why(batching::check_blocks(paged(16), 31, false)) ==
        "`max_batch_total_tokens` must hold 2 blocks at least, one of them is for health checks. "
        "Given: 31 tokens and blocks of 16");
    CHECK(
        why(batching::check_blocks(paged(0), 32, false)) ==
        "the shards say that a block holds 0 tokens; at least 1 is needed");
}

TEST_CASE("block rules: shards that want no blocks may say anything of them", "[batching]") {
    shard::model_info m;
    m.block_size = 0;
    CHECK(batching::check_blocks(m, 1, false).has_value());
}

TEST_CASE("block rules: a window does not matter, the full length is reserved", "[batching]") {
    auto m = paged(16);
    m.window_size = GENERATE(0U, 8U, 4096U);
    CHECK(batching::check_blocks(m, 1000, false).has_value());
}

TEST_CASE("block rules: prefixes are cached in blocks of one token", "[batching]") {
    CHECK(batching::check_blocks(paged(1), 100, true).has_value());
    CHECK(
        why(batching::check_blocks(paged(16), 1000, true)).find("blocks of 16 tokens") !=
        std::string::npos);
    CHECK(
        why(batching::check_blocks(shard::model_info{}, 1000, true))
            .find("these shards want none") != std::string::npos);
}
