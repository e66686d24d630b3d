#include "truffula/kv_cache/block_allocator.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <numeric>
#include <string>

using namespace truffula::kv_cache;

namespace {

using ids = std::vector<std::uint32_t>;

ids count_from(std::uint32_t first, std::size_t length) {
    ids out(length);
    std::iota(out.begin(), out.end(), first);
    return out;
}

ids operator+(ids a, const ids& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

block_request asking(const ids& prompt, std::uint32_t adapter = 0, std::uint64_t salt = 0) {
    return {
        .prompt_tokens = static_cast<std::uint32_t>(prompt.size()),
        .new_tokens = 1,
        .ids = prompt,
        .scope = {adapter, salt}};
}

block_allocator caching(std::uint32_t blocks, std::uint32_t block_size = 1) {
    return block_allocator{
        {.token_budget = (blocks + 1) * block_size,
         .block_size = block_size,
         .prefix_caching = true}};
}

/// A request that came, was computed and left.
void pass(block_allocator& a, const ids& prompt, std::uint32_t adapter = 0) {
    auto got = a.allocate(asking(prompt, adapter));
    REQUIRE(got);
    got->confirm(prompt);
}

std::uint32_t cached(const block_allocator& a, const block_request& request) {
    block_memo memo;
    return a.look_up(request, memo).cached_tokens;
}

ids blocks_of(const block_allocation& a) {
    return {a.blocks().begin(), a.blocks().end()};
}

}  // namespace

TEST_CASE("prefix cache: a prompt is found by whole blocks of equal tokens", "[kv_cache]") {
    auto a = caching(20, 4);
    const auto first = count_from(100, 10);
    std::optional<block_allocation> one = a.allocate(asking(first));
    one->confirm(first);
    const auto two = a.allocate(asking(first));
    CHECK(two->cached_tokens() == 8);
    CHECK(
        ids{two->blocks().begin(), two->blocks().begin() + 2} ==
        ids{one->blocks().begin(), one->blocks().begin() + 2});
    CHECK(two->blocks()[2] != one->blocks()[2]);

    auto last_differs = first;
    last_differs[7] = 1;
    CHECK(cached(a, asking(last_differs)) == 4);
    auto first_differs = first;
    first_differs[0] = 1;
    CHECK(cached(a, asking(first_differs)) == 0);
    CHECK(cached(a, asking(count_from(100, 4) + count_from(108, 8))) == 4);
}

TEST_CASE("prefix cache: the last token of a prompt is always computed", "[kv_cache]") {
    const auto size = GENERATE(1U, 4U, 16U);
    auto a = caching(40, size);
    const auto prompt = count_from(5, size * 3);
    pass(a, prompt);
    CHECK(cached(a, asking(prompt)) == (prompt.size() - 1) / size * size);
    CHECK(cached(a, asking(prompt + ids{9})) == prompt.size());
    CHECK(cached(a, asking(ids{prompt[0]})) == 0);
}

TEST_CASE("prefix cache: nothing is found before the shard has computed it", "[kv_cache]") {
    auto a = caching(20);
    const auto prompt = count_from(1, 5);
    auto one = a.allocate(asking(prompt));
    CHECK(cached(a, asking(prompt)) == 0);
    one.reset();
    CHECK(cached(a, asking(prompt)) == 0);
    CHECK(a.counts().free == 20);
}

TEST_CASE("prefix cache: adapters and salts do not see each other's prompts", "[kv_cache]") {
    auto a = caching(40);
    const auto prompt = count_from(1, 5);
    pass(a, prompt, 1);
    CHECK(cached(a, asking(prompt, 1)) == 4);
    CHECK(cached(a, asking(prompt, 2)) == 0);
    CHECK(cached(a, asking(prompt, 1, 7)) == 0);
}

TEST_CASE(
    "prefix cache: a request may be kept from reading, and is kept all the same", "[kv_cache]") {
    auto a = caching(40);
    const auto prompt = count_from(1, 5);
    auto whole = asking(prompt);
    whole.reads_cache = false;
    for (int i = 0; i < 2; ++i) {
        auto got = a.allocate(whole);
        CHECK(got->cached_tokens() == 0);
        got->confirm(prompt);
    }
    CHECK(cached(a, asking(prompt)) == 4);
    CHECK(a.counts().cached == 5);
    CHECK(a.counts().free == 35);
}

TEST_CASE("prefix cache: prompts whose tokens nobody knows are not shared", "[kv_cache]") {
    auto a = caching(40);
    const ids few{1, 2};
    auto unknown = asking(few);
    unknown.prompt_tokens = 5;
    if (GENERATE(true, false)) unknown.ids = {};
    auto got = a.allocate(unknown);
    got->confirm(unknown.ids);
    got.reset();
    CHECK(a.counts().free == 40);
}

TEST_CASE("prefix cache: two that compute the same prompt at once keep one copy", "[kv_cache]") {
    auto a = caching(20);
    const auto prompt = count_from(1, 5);
    auto one = a.allocate(asking(prompt));
    auto two = a.allocate(asking(prompt));
    auto three = a.allocate(asking(prompt + ids{6}));
    const auto of_one = blocks_of(*one);
    one->confirm(prompt);
    two->confirm(prompt);
    three->confirm(prompt + ids{6});
    CHECK(a.counts().used == 5 + 5 + 6);
    one.reset();
    CHECK(a.counts().cached == 0);  // the others hold what they found
    two.reset();
    CHECK(a.counts().used == 11);  // three's own six, and the five it continues
    three.reset();
    CHECK(a.counts().cached == 6);
    CHECK(a.counts().free == 14);
    const auto again = a.allocate(asking(prompt));
    CHECK(std::equal(again->blocks().begin(), again->blocks().begin() + 4, of_one.begin()));
}

TEST_CASE("prefix cache: the least recently used leaf goes first", "[kv_cache]") {
    auto a = caching(9);
    pass(a, ids{1, 2, 3});
    pass(a, ids{1, 2, 4});
    pass(a, ids{7, 8});
    CHECK(a.counts().cached == 6);
    CHECK(a.counts().free == 3);
    CHECK(cached(a, asking(ids{1, 2, 3, 0})) == 3);
    {
        const auto four = a.allocate(asking(ids{50, 51, 52, 53}));
        REQUIRE(four);
        CHECK(cached(a, asking(ids{1, 2, 3, 0})) == 2);  // its leaf was the oldest
        CHECK(cached(a, asking(ids{1, 2, 4, 0})) == 3);
        CHECK(cached(a, asking(ids{7, 8, 0})) == 2);
    }
    pass(a, ids{1, 2, 4});  // used again: now {7, 8} is older
    const auto six = a.allocate(asking(ids{60, 61, 62, 63, 64}));
    REQUIRE(six);
    CHECK(cached(a, asking(ids{7, 8, 0})) == 1);
    CHECK(cached(a, asking(ids{1, 2, 4, 0})) == 3);
}

TEST_CASE("prefix cache: what is in use is never given away", "[kv_cache]") {
    auto a = caching(6);
    pass(a, ids{1, 2, 3});
    const auto user = a.allocate(asking(ids{1, 2, 3, 4}));
    REQUIRE(user);
    CHECK(user->cached_tokens() == 3);
    CHECK(a.available() == 2);
    CHECK_FALSE(a.allocate(asking(ids{8, 8, 8})));
    CHECK(a.allocate(asking(ids{8, 8})));
    CHECK(cached(a, asking(ids{1, 2, 3, 4})) == 3);
}

TEST_CASE("prefix cache: an allocation that fails evicts nothing", "[kv_cache]") {
    auto a = caching(6);
    pass(a, ids{1, 2, 3});
    const auto holder = a.allocate(asking(ids{9, 9}));
    CHECK_FALSE(a.allocate(asking(count_from(20, 5))));
    CHECK(a.counts().cached == 3);
    // Its own match is no room for it: 3 cached + 2 more than are free.
    CHECK_FALSE(a.allocate(asking(ids{1, 2, 3, 4, 5, 6})));
    CHECK(cached(a, asking(ids{1, 2, 3, 4})) == 3);
    CHECK(a.allocate(asking(ids{1, 2, 3, 4})));
}

TEST_CASE("prefix cache: an adapter that leaves takes its prompts along", "[kv_cache]") {
    auto a = caching(20);
    const auto prompt = count_from(1, 5);
    pass(a, prompt, 1);
    pass(a, prompt, 2);
    SECTION("unused") {
        a.forget(1);
        CHECK(cached(a, asking(prompt, 1)) == 0);
        CHECK(cached(a, asking(prompt, 2)) == 4);
        CHECK(a.available() == 20);
        // What is of no use is given out before what was used longer ago.
        pass(a, count_from(30, 5), 2);
        const auto holder = a.allocate(asking(count_from(50, 9), 3));
        CHECK(a.counts().free == 0);
        CHECK(cached(a, asking(prompt, 2)) == 4);
        CHECK(cached(a, asking(count_from(30, 5), 2)) == 4);
    }
    SECTION("while a request still holds some") {
        auto user = a.allocate(asking(ids{1, 2, 3, 40}, 1));
        a.forget(1);
        CHECK(cached(a, asking(prompt, 1)) == 0);
        CHECK(a.counts().used == 4);
        user->confirm(ids{1, 2, 3, 40});
        CHECK(cached(a, asking(prompt, 1)) == 0);
        pass(a, ids{1, 2, 70}, 1);  // the index has other weights now
        CHECK(cached(a, asking(prompt, 1)) == 2);
        {
            const auto all = a.allocate(asking(count_from(100, 16 - 3), 3));  // takes it apart
            CHECK(a.counts().used == 4 + 13);
            CHECK(a.counts().free == 0);
        }
        user.reset();
        CHECK(a.counts().used == 0);
        CHECK(a.available() == 20);
        CHECK(cached(a, asking(prompt, 1)) == 2);
    }
    SECTION("nothing of it is here") {
        a.forget(3);
        CHECK(a.counts().cached == 10);
    }
}

TEST_CASE("prefix cache: hits are counted when a shard has confirmed them", "[kv_cache]") {
    auto a = caching(20);
    const auto prompt = count_from(1, 5);
    pass(a, prompt);
    { const auto unused = a.allocate(asking(prompt)); }
    pass(a, prompt);
    CHECK(a.counts().hit_tokens == 4);
    CHECK(a.counts().prompt_tokens == 10);
}

TEST_CASE("prefix cache: a look that cannot help is spared", "[kv_cache]") {
    auto a = caching(8);
    const auto prompt = count_from(1, 5);
    pass(a, prompt);
    auto holder = a.allocate(asking(ids{9, 9, 9}));
    block_memo memo;
    const auto big = prompt + ids{6, 7, 8};
    CHECK_FALSE(a.look_up(asking(big), memo).fits);
    CHECK(memo.fresh == 3);
    CHECK(memo.version != 0);
    holder.reset();
    CHECK(a.look_up(asking(big), memo).fits);
    pass(a, ids{1, 2, 3, 4, 5, 6});  // longer matches are seen with the same memo
    CHECK(a.look_up(asking(big), memo).cached_tokens == 6);
}

TEST_CASE(
    "prefix cache: a second look is needed where only a longer match can help", "[kv_cache]") {
    auto a = caching(8);
    pass(a, ids{1, 2});
    auto holder = a.allocate(asking(ids{9, 9, 9, 9, 9}));
    block_memo memo;
    CHECK_FALSE(a.needs_second_look(memo));  // there was no first one
    CHECK_FALSE(a.look_up(asking(count_from(1, 8)), memo).fits);
    CHECK(memo.fresh == 6);
    CHECK_FALSE(a.needs_second_look(memo));  // nothing was taken in since
    holder->confirm(ids{9, 9, 9, 9, 9});
    CHECK(a.needs_second_look(memo));
    holder.reset();
    CHECK_FALSE(a.needs_second_look(memo));  // there are enough blocks now
}
