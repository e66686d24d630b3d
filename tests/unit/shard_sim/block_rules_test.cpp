#include "driver.hpp"

#include <catch2/catch.hpp>

#include <limits>

using namespace truffula::shard_sim;
using namespace truffula::shard_sim::test;

TEST_CASE("block rules: a request with its own blocks is not blamed", "[shard_sim]") {
    driver d{paged()};
    // 5 + 28 - 1 = 32 tokens: two blocks, full.
    REQUIRE(d.prefill(batch_of(1, {on_blocks(request(1, 5, 28), {1, 2})})));
    REQUIRE(d.prefill(batch_of(2, {on_blocks(request(2, 5, 28), {3, 9})})));
    REQUIRE(d.decode({1, 2}));
    for (int i = 0; i < 26; ++i) REQUIRE(d.decode({1}));
    REQUIRE(d.prefill(batch_of(3, {on_blocks(request(3, 5, 28), {2, 9})})));
    REQUIRE(d.decode({3}));
    CHECK(d.total() == 0);
    CHECK(d.under_test().checker().peak_blocks() == 4);
}

TEST_CASE("block rules: layout of one request", "[shard_sim]") {
    auto o = paged();
    o.model.max_supported_total_tokens = 160;
    driver d{o};
    auto r = request(1, 5, 28);
    SECTION("no blocks") {
        d.prefill(batch_of(1, {r}));
        CHECK(d.only(violation::blocks_missing));
    }
    SECTION("block 0") {
        d.prefill(batch_of(1, {on_blocks(r, {0, 1})}));
        CHECK(d.only(violation::block_zero_used));
    }
    SECTION("last block") {
        d.prefill(batch_of(1, {on_blocks(r, {8, 9})}));
        CHECK(d.total() == 0);
    }
    SECTION("beyond the last") {
        d.prefill(batch_of(1, {on_blocks(r, {9, 10})}));
        CHECK(d.only(violation::block_out_of_range));
    }
    SECTION("twice") {
        d.prefill(batch_of(1, {on_blocks(r, {3, 4, 3})}));
        CHECK(d.only(violation::block_repeated));
    }
    SECTION("one token too few") {
        d.prefill(batch_of(1, {on_blocks(request(1, 5, 29), {3, 4})}));
        CHECK(d.count(violation::too_few_blocks) == 1);
        CHECK(d.count(violation::slots_wrong) == 1);
        CHECK(d.total() == 2);
    }
    SECTION("slots of another block") {
        auto wrong = on_blocks(r, {3, 4});
        wrong.set_slots(20, 99);
        d.prefill(batch_of(1, {wrong}));
        CHECK(d.only(violation::slots_wrong));
    }
    SECTION("slots beyond what 32 bits count") {
        // 2^28 * 16 is 2^32: the slots given begin at 0 again.
        d.prefill(batch_of(1, {on_blocks(request(1, 5, 12), {1U << 28})}));
        CHECK(d.count(violation::block_out_of_range) == 1);
        CHECK(d.count(violation::slots_wrong) == 1);
        CHECK(d.total() == 2);
    }
    SECTION("exactly the slots needed") {
        auto right = on_blocks(request(1, 5, 20), {3, 4});
        right.mutable_slots()->Truncate(24);
        d.prefill(batch_of(1, {right}));
        CHECK(d.total() == 0);
    }
    SECTION("one slot too few") {
        auto wrong = on_blocks(request(1, 5, 20), {3, 4});
        wrong.mutable_slots()->Truncate(23);
        d.prefill(batch_of(1, {wrong}));
        CHECK(d.only(violation::slots_wrong));
    }
    SECTION("max_blocks") {
        auto b = batch_of(1, {on_blocks(r, {3, 4})});
        b.mutable_batch()->set_max_blocks(1);
        d.prefill(b);
        CHECK(d.only(violation::max_blocks_wrong));
    }
}

TEST_CASE("block rules: speculation needs room for its guesses", "[shard_sim]") {
    auto o = paged();
    o.model.speculate = 3;
    driver d{o};
    d.prefill(batch_of(1, {on_blocks(request(1, 5, 25), {3, 4})}));
    CHECK(d.total() == 0);
    d.prefill(batch_of(2, {on_blocks(request(2, 5, 26), {5, 6})}));
    CHECK(d.count(violation::too_few_blocks) == 1);
}

TEST_CASE("block rules: a window does not shrink what is needed", "[shard_sim]") {
    auto o = paged();
    o.model.window = 16;
    driver d{o};
    d.prefill(batch_of(1, {on_blocks(request(1, 5, 28), {3})}));
    CHECK(d.count(violation::too_few_blocks) == 1);
}

TEST_CASE("block rules: live requests do not share what they write", "[shard_sim]") {
    driver d{paged()};
    d.prefill(batch_of(1, {on_blocks(request(1, 5, 9), {1}), on_blocks(request(2, 5, 9), {2})}));
    CHECK(d.total() == 0);
    d.prefill(batch_of(2, {on_blocks(request(3, 5, 9), {2})}));
    CHECK(d.only(violation::block_shared));
    d.decode({1});
    CHECK(d.count(violation::block_overwritten) == 1);
}

TEST_CASE("block rules: blocks of a request that was dropped are free", "[shard_sim]") {
    driver d{paged()};
    d.prefill(batch_of(1, {on_blocks(request(1, 5, 9), {1}), on_blocks(request(2, 5, 9), {2})}));
    SECTION("by FilterBatch") {
        d.filter(1, {1});
    }
    SECTION("by ClearCache") {
        d.clear(1);
    }
    SECTION("by a failure") {
        fault f;
        f.kind = fault_kind::fail;
        d.decode({1}, f);
    }
    d.prefill(batch_of(2, {on_blocks(request(3, 5, 9), {2})}));
    CHECK(d.total() == 0);
}

TEST_CASE("block rules: what comes from the cache is what would be computed", "[shard_sim]") {
    driver d{paged()};
    d.prefill(batch_of(1, {on_blocks(request(1, 40, 9), {1, 2, 3})}));
    auto second = on_blocks(request(2, 40, 9), {1, 2, 4});
    second.set_cache_len(32);
    SECTION("the same prompt, while the first still runs") {
        d.prefill(batch_of(2, {second}));
        REQUIRE(d.decode({1, 2}));
        for (int i = 0; i < 6; ++i) REQUIRE(d.decode({1}));
        CHECK(d.total() == 0);
    }
    SECTION("another prompt") {
        auto other = on_blocks(request(2, 40, 9, 11), {1, 2, 4});
        other.set_cache_len(32);
        d.prefill(batch_of(2, {other}));
        CHECK(d.count(violation::cached_content_differs) == 2);
        CHECK(d.total() == 2);
    }
    SECTION("other weights") {
        d.ready("sql", 1);
        second.set_adapter_index(1);
        d.prefill(batch_of(2, {second}));
        CHECK(d.only(violation::cached_content_differs));
    }
    SECTION("a block that is not full") {
        auto all = on_blocks(request(2, 50, 9), {1, 2, 3, 5});
        all.set_cache_len(48);
        d.clear(1);
        d.prefill(batch_of(2, {all}));
        CHECK(d.only(violation::cached_content_differs));
    }
    SECTION("a block that its first owner still writes") {
        auto all = on_blocks(request(2, 50, 9), {1, 2, 3, 5});
        all.set_cache_len(48);
        d.prefill(batch_of(2, {all}));
        CHECK(d.count(violation::block_shared) == 1);
    }
    SECTION("not in whole blocks") {
        second.set_cache_len(31);
        d.prefill(batch_of(2, {second}));
        CHECK(d.count(violation::cache_length_wrong) == 1);
    }
    SECTION("the whole prompt") {
        auto whole = on_blocks(request(2, 32, 9), {1, 2, 4});
        whole.set_cache_len(32);
        d.prefill(batch_of(2, {whole}));
        CHECK(d.count(violation::cache_length_wrong) == 1);
    }
}

TEST_CASE("block rules: a health check uses block 0 outside of everything", "[shard_sim]") {
    const auto id = std::numeric_limits<std::uint64_t>::max();
    driver d{paged()};
    d.prefill(batch_of(1, {on_blocks(request(1, 5, 9), {1})}));
    auto dummy = batch_of(id, {on_blocks(request(id, 1, 1), {0})});
    REQUIRE(d.prefill(dummy));
    REQUIRE(d.prefill(dummy));
    REQUIRE(d.decode({1}));
    d.clear(id);
    CHECK(d.total() == 0);
}

TEST_CASE("block rules: other shards need no blocks", "[shard_sim]") {
    auto o = plain();
    if (GENERATE(true, false)) o.model.kind = layout::padded;
    driver d{o};
    d.prefill(batch_of(1, {request(1, 5, 9)}));
    CHECK(d.total() == 0);
}
