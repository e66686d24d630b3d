#include "truffula/kv_cache/block_allocator.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <set>

using namespace truffula::kv_cache;

TEST_CASE("blocks: all but the reserved one can be given out", "[kv_cache]") {
    block_allocator a{{.token_budget = 160, .block_size = 16, .speculate = 0}};
    CHECK(a.usable() == 9);
    CHECK(a.available() == 9);
    CHECK(block_allocator{{.token_budget = 15, .block_size = 16, .speculate = 0}}.usable() == 0);
}

TEST_CASE("blocks: a request needs prompt, new and speculated tokens less one", "[kv_cache]") {
    block_allocator plain{{.token_budget = 160, .block_size = 16, .speculate = 0}};
    CHECK(plain.blocks_needed(16, 17) == 2);
    CHECK(plain.blocks_needed(16, 18) == 3);
    CHECK(plain.blocks_needed(1, 0) == 1);
    block_allocator speculating{{.token_budget = 160, .block_size = 16, .speculate = 3}};
    CHECK(speculating.blocks_needed(16, 14) == 2);
    CHECK(speculating.blocks_needed(16, 15) == 3);
    CHECK(plain.blocks_needed(UINT32_MAX, UINT32_MAX) == (1ULL << 29U));
}

TEST_CASE("blocks: a slot for every reserved token", "[kv_cache]") {
    block_allocator a{{.token_budget = 64, .block_size = 4, .speculate = 0}};
    const auto got = a.allocate({.prompt_tokens = 5, .new_tokens = 2});
    REQUIRE(got);
    CHECK(got->blocks().size() == 2);
    CHECK(got->slot_count() == 6);
    CHECK(got->block_size() == 4);
    CHECK(got->cached_tokens() == 0);
}

TEST_CASE("blocks: all or nothing, to the last block", "[kv_cache]") {
    block_allocator a{{.token_budget = 160, .block_size = 16, .speculate = 0}};
    auto nine = a.allocate({.prompt_tokens = 144, .new_tokens = 1});
    REQUIRE(nine);
    CHECK(a.available() == 0);
    nine.reset();
    CHECK_FALSE(a.allocate({.prompt_tokens = 144, .new_tokens = 2}));
    CHECK(a.available() == 9);
}

TEST_CASE("blocks: an allocation may outlive its allocator", "[kv_cache]") {
    const allocator_settings settings{.token_budget = 160, .block_size = 16, .speculate = 0};
    std::optional<block_allocator> a{std::in_place, settings};
    auto got = a->allocate({.prompt_tokens = 10, .new_tokens = 10});
    a.reset();
    CHECK(got->blocks().size() == 2);
    got.reset();
}

TEST_CASE("blocks: no block is in two hands, and none is lost", "[kv_cache][property]") {
    std::mt19937 random{Catch::rngSeed()};
    for (const std::uint32_t block_size : {1U, 16U}) {
        block_allocator a{{.token_budget = 4096, .block_size = block_size, .speculate = 2}};
        std::vector<block_allocation> live;
        for (int step = 0; step < 20'000; ++step) {
            const auto before = a.available();
            if (random() % 2 == 0) {
                const auto prompt = static_cast<std::uint32_t>(random() % 900);
                const auto output = static_cast<std::uint32_t>(random() % 300);
                auto got = a.allocate({.prompt_tokens = prompt, .new_tokens = output});
                CHECK(got.has_value() == (a.blocks_needed(prompt, output) <= before));
                if (got) live.push_back(std::move(*got));
            } else if (!live.empty()) {
                std::swap(live[random() % live.size()], live.back());
                live.pop_back();
            }
            if (step % 50 != 0) continue;
            std::set<std::uint32_t> held;
            std::size_t count = 0;
            for (const auto& l : live) {
                held.insert(l.blocks().begin(), l.blocks().end());
                count += l.blocks().size();
            }
            INFO("seed " << Catch::rngSeed());
            REQUIRE(held.size() == count);
            REQUIRE_FALSE(held.contains(0));
            REQUIRE(count + a.available() == a.usable());
        }
    }
}
