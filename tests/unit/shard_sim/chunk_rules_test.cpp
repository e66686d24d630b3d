// Prompts in parts, beside a running batch.
#include "driver.hpp"

#include <catch2/catch.hpp>

using namespace truffula::shard_sim;
using namespace truffula::shard_sim::test;

namespace {

options chunked() {
    auto o = paged();
    o.model.kind = layout::plain;
    o.model.chunked_prefill = true;
    return o;
}

wire::Request cut(wire::Request r, std::uint32_t chunk) {
    r.set_chunk_len(chunk);
    return r;
}

/// Joins what runs as batch `id`, as answered.
wire::PrefillRequest beside(const driver& d, std::uint64_t id, wire::PrefillRequest batch) {
    *batch.mutable_cached_batch() = d.known(id);
    return batch;
}

std::vector<std::uint64_t> answered(const auto& response) {
    std::vector<std::uint64_t> ids;
    for (const auto& g : response.generations()) ids.push_back(g.request_id());
    return ids;
}

using id_list = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("chunks: a prompt in parts gives its first token after the last", "[shard_sim]") {
    driver d{chunked(), false};
    d.warmup(10);
    const auto whole = [] {
        driver other{plain()};
        return other.prefill(batch_of(1, {request(1, 25, 3)}))
            ->generations(0)
            .next_tokens()
            .texts(0);
    }();
    auto first = d.prefill(batch_of(1, {cut(request(1, 25, 3), 10)}));
    REQUIRE(first);
    CHECK(first->generations().empty());
    CHECK(first->batch().current_tokens() == 10);
    auto second = d.decode({1});
    CHECK(second->generations().empty());
    CHECK(second->batch().current_tokens() == 5);
    auto third = d.decode({1});
    REQUIRE(third->generations_size() == 1);
    CHECK(third->generations(0).next_tokens().texts(0) == whole);
    CHECK(third->generations(0).prefill_tokens_length() == 25);
    CHECK(third->batch().current_tokens() == 1);
    CHECK(d.decode({1})->generations(0).prefill_tokens_length() == 0);
    CHECK(d.decode({1})->generations(0).has_generated_text());
    CHECK(d.total() == 0);
}

TEST_CASE("chunks: prompt and answers share a step", "[shard_sim]") {
    driver d{chunked(), false};
    d.warmup(10);
    d.prefill(batch_of(1, {request(1, 5, 9)}));
    auto joined = d.prefill(beside(d, 1, batch_of(2, {cut(request(2, 20, 2), 9)})));
    REQUIRE(joined);
    CHECK(answered(*joined) == id_list{1});
    CHECK(joined->batch().id() == 1);
    CHECK(joined->batch().request_ids_size() == 2);
    CHECK(joined->batch().current_tokens() == 1 + 9);
    auto next = d.decode({1});
    CHECK(answered(*next) == id_list{1});
    CHECK(next->generations(0).prefill_tokens_length() == 5 + 2);  // told while a prompt goes on
    next = d.decode({1});
    CHECK(answered(*next) == id_list{1, 2});
    next = d.decode({1});
    CHECK(next->generations(1).has_generated_text());
    CHECK(d.total() == 0);
}

TEST_CASE("chunks: a Prefill that fails takes the running batch along", "[shard_sim]") {
    auto o = chunked();
    o.model.fail_prompts = {"prompt 2"};
    driver d{o};
    d.prefill(batch_of(1, {request(1, 5, 9)}));
    CHECK_FALSE(d.prefill(beside(d, 1, batch_of(2, {request(2, 5, 2)}))));
    CHECK_FALSE(d.decode({1}));
    CHECK(d.only(violation::unknown_batch));
}

TEST_CASE("chunks: each rule has its counter", "[shard_sim]") {
    driver d{chunked(), false};
    d.warmup(10);
    SECTION("no part at all") {
        d.prefill(batch_of(1, {cut(request(1, 25, 3), 0)}));
        CHECK(d.count(violation::chunk_length_wrong) == 1);
    }
    SECTION("a part that is the whole") {
        d.prefill(batch_of(1, {cut(request(1, 10, 3), 10)}));
        CHECK(d.only(violation::chunk_length_wrong));
    }
    SECTION("one token less is a part") {
        d.prefill(batch_of(1, {cut(request(1, 10, 3), 9)}));
        CHECK(d.total() == 0);
    }
    SECTION("what runs leaves less room") {
        d.prefill(batch_of(1, {request(1, 5, 9)}));
        SECTION("exactly") {
            d.prefill(beside(d, 1, batch_of(2, {request(2, 9, 2)})));
            CHECK(d.total() == 0);
        }
        SECTION("one too many") {
            d.prefill(beside(d, 1, batch_of(2, {request(2, 10, 2)})));
            CHECK(d.only(violation::prefill_budget));
        }
    }
    SECTION("an unknown batch") {
        d.prefill(beside(d, 7, batch_of(2, {request(2, 5, 2)})));
        CHECK(d.only(violation::unknown_batch));
    }
    SECTION("a batch other than answered") {
        d.prefill(batch_of(1, {request(1, 5, 9)}));
        auto ask = beside(d, 1, batch_of(2, {request(2, 5, 2)}));
        ask.mutable_cached_batch()->set_size(9);
        d.prefill(ask);
        CHECK(d.only(violation::cached_batch_differs));
    }
    SECTION("after the end") {
        d.prefill(batch_of(1, {request(1, 5, 1), request(3, 5, 9)}));
        d.prefill(beside(d, 1, batch_of(2, {request(2, 5, 2)})));
        CHECK(d.count(violation::ended_request_decoded) == 1);
    }
    SECTION("steps for the prompt are not counted as the answer's") {
        d.prefill(batch_of(1, {cut(request(1, 25, 1), 10)}));
        d.decode({1});
        d.decode({1});
        CHECK(d.total() == 0);
    }
}

TEST_CASE("chunks: shards without them want none", "[shard_sim]") {
    driver d{plain()};
    d.prefill(batch_of(1, {request(1, 5, 9)}));
    if (GENERATE(true, false)) {
        d.prefill(beside(d, 1, batch_of(2, {request(2, 5, 2)})));
    } else {
        d.prefill(batch_of(2, {cut(request(2, 5, 2), 3)}));
    }
    CHECK(d.only(violation::chunking_unsupported));
}

TEST_CASE("chunks: only what was computed can come from the cache", "[shard_sim]") {
    auto o = chunked();
    o.model.kind = layout::paged;
    o.model.block_size = 4;
    driver d{o};
    const auto blocks = std::vector<std::uint32_t>{1, 2, 3, 4, 5};
    d.prefill(batch_of(1, {cut(on_blocks(request(1, 16, 4), blocks, 4), 8)}));
    auto second = on_blocks(request(2, 16, 4), {1, 2, 6, 7, 8}, 4);
    second.set_cache_len(8);
    SECTION("its first part") {
        d.prefill(batch_of(2, {second}));
        CHECK(d.total() == 0);
    }
    SECTION("more than that") {
        auto more = on_blocks(request(2, 16, 4), {1, 2, 3, 7, 8}, 4);
        more.set_cache_len(12);
        d.prefill(batch_of(2, {more}));
        CHECK(d.only(violation::cached_content_differs));
    }
    SECTION("more, once that is there") {
        d.decode({1});
        auto more = on_blocks(request(2, 16, 4), {1, 2, 3, 7, 8}, 4);
        more.set_cache_len(12);
        d.prefill(batch_of(2, {more}));
        CHECK(d.total() == 0);
        CHECK(d.under_test().checker().cached_tokens() == 12);
    }
}
