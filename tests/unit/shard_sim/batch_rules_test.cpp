#include "driver.hpp"

#include <catch2/catch.hpp>

using namespace truffula::shard_sim;
using namespace truffula::shard_sim::test;

namespace {

fault of_kind(fault_kind kind) {
    fault f;
    f.kind = kind;
    return f;
}

}  // namespace

TEST_CASE("batch rules: a router that keeps to them is not blamed", "[shard_sim]") {
    driver d{plain()};
    REQUIRE(d.prefill(batch_of(1, {request(1, 5, 3), request(2, 4, 2)})));
    REQUIRE(d.decode({1}));
    REQUIRE(d.filter(1, {1}));
    REQUIRE(d.prefill(batch_of(2, {request(3, 5, 1), request(4, 5, 9)})));
    REQUIRE(d.filter(2, {4}));
    REQUIRE(d.decode({1, 2}));
    REQUIRE(d.filter(1, {4}));
    REQUIRE(d.decode({1}));
    d.clear(1);
    REQUIRE(d.prefill(batch_of(3, {request(4, 5, 1)})));
    d.clear(3);
    d.clear(std::nullopt);
    CHECK(d.total() == 0);
    CHECK(d.under_test().checker().live_requests() == 0);
    CHECK(d.under_test().checker().peak_live_requests() == 3);
}

TEST_CASE("batch rules: warm-up comes first, with requests", "[shard_sim]") {
    driver cold{plain(), false};
    cold.prefill(batch_of(1, {request(1, 5, 3)}));
    CHECK(cold.only(violation::compute_before_warmup));

    driver empty{plain(), false};
    empty.warmup(100, 0);
    CHECK(empty.only(violation::warmup_without_requests));
}

TEST_CASE("batch rules: a batch has requests, and its size counts them", "[shard_sim]") {
    driver d{plain()};
    SECTION("empty") {
        CHECK_FALSE(d.prefill(batch_of(1, {})));
        CHECK(d.only(violation::empty_batch));
    }
    SECTION("size") {
        auto b = batch_of(1, {request(1, 5, 3)});
        b.mutable_batch()->set_size(2);
        d.prefill(b);
        CHECK(d.only(violation::size_wrong));
    }
    SECTION("max_tokens below the prompts") {
        auto b = batch_of(1, {request(1, 5, 3), request(2, 5, 3)});
        b.mutable_batch()->set_max_tokens(9);
        d.prefill(b);
        CHECK(d.only(violation::max_tokens_wrong));
    }
    SECTION("no new tokens") {
        d.prefill(batch_of(1, {request(1, 5, 0)}));
        CHECK(d.only(violation::no_new_tokens));
    }
    SECTION("embed and classify too") {
        auto o = plain();
        o.model.supports_embeddings = true;
        o.model.supports_classification = true;
        driver other{o};
        wire::EmbedRequest embed;
        wire::EmbedResponse embedded;
        *embed.mutable_batch() = batch_of(1, {request(1, 5, 0)}).batch();
        CHECK_FALSE(other.under_test().embed(embed, embedded).error);
        REQUIRE(embedded.embeddings_size() == 1);
        CHECK(embedded.embeddings(0).values_size() == 8);
        CHECK(other.total() == 0);
        wire::ClassifyRequest classify;
        wire::ClassifyResponse classified;
        CHECK_FALSE(other.under_test().classify(classify, classified).error);
        CHECK(other.only(violation::empty_batch));
    }
}

TEST_CASE("batch rules: ids are not used twice while they live", "[shard_sim]") {
    driver d{plain()};
    d.prefill(batch_of(1, {request(1, 5, 3)}));
    SECTION("batch") {
        d.prefill(batch_of(1, {request(2, 5, 3)}));
        CHECK(d.only(violation::batch_id_reused));
    }
    SECTION("request") {
        d.prefill(batch_of(2, {request(1, 5, 3)}));
        CHECK(d.only(violation::request_id_reused));
    }
    SECTION("but after") {
        d.clear(1);
        d.prefill(batch_of(1, {request(1, 5, 3)}));
        CHECK(d.total() == 0);
    }
}

TEST_CASE("batch rules: chunks are for shards that know them", "[shard_sim]") {
    driver d{plain()};
    auto b = batch_of(1, {request(1, 5, 3)});
    SECTION("cached batch") {
        b.mutable_cached_batch()->set_id(7);
    }
    SECTION("chunk length") {
        b.mutable_batch()->mutable_requests(0)->set_chunk_len(2);
    }
    d.prefill(b);
    CHECK(d.only(violation::chunking_unsupported));
}

TEST_CASE("batch rules: decode names live batches, once, as answered", "[shard_sim]") {
    driver d{plain()};
    d.prefill(batch_of(1, {request(1, 5, 9)}));
    SECTION("none") {
        CHECK_FALSE(d.decode(std::vector<std::uint64_t>{}));
        CHECK(d.only(violation::decode_without_batches));
    }
    SECTION("unknown") {
        CHECK_FALSE(d.decode({2}));
        CHECK(d.only(violation::unknown_batch));
    }
    SECTION("unknown to FilterBatch") {
        CHECK_FALSE(d.filter(2, {1}));
        CHECK(d.only(violation::unknown_batch));
    }
    SECTION("twice") {
        CHECK_FALSE(d.decode({1, 1}));
        CHECK(d.only(violation::batch_named_twice));
    }
    SECTION("another size") {
        wire::DecodeRequest in;
        *in.add_batches() = d.known(1);
        in.mutable_batches(0)->set_size(2);
        CHECK(d.decode(in));
        CHECK(d.only(violation::cached_batch_differs));
    }
    SECTION("lost by a failure") {
        CHECK_FALSE(d.decode({1}, of_kind(fault_kind::fail)));
        CHECK(d.total() == 0);
        CHECK_FALSE(d.decode({1}));
        CHECK(d.only(violation::unknown_batch));
    }
}

TEST_CASE("batch rules: who has ended is filtered out before the next step", "[shard_sim]") {
    driver d{plain()};
    d.prefill(batch_of(1, {request(1, 5, 2), request(2, 5, 9)}));
    d.decode({1});
    d.decode({1});
    CHECK(d.count(violation::ended_request_decoded) == 1);
    CHECK(d.count(violation::too_many_steps) == 1);
    CHECK(d.total() == 2);
}

TEST_CASE("batch rules: one step too many is forgiven if the end was not told", "[shard_sim]") {
    driver d{plain()};
    d.prefill(batch_of(1, {request(1, 5, 2)}));
    REQUIRE(d.decode({1}, of_kind(fault_kind::no_end))->has_batch());
    REQUIRE(d.decode({1}, of_kind(fault_kind::no_end))->has_batch());
    CHECK(d.total() == 0);
    d.decode({1}, of_kind(fault_kind::no_end));
    CHECK(d.only(violation::too_many_steps));
}

TEST_CASE("batch rules: FilterBatch keeps some that are there", "[shard_sim]") {
    driver d{plain()};
    d.prefill(batch_of(1, {request(1, 5, 9), request(2, 5, 9)}));
    SECTION("none") {
        CHECK_FALSE(d.filter(1, {}));
        CHECK(d.only(violation::filter_empty));
    }
    SECTION("a stranger") {
        CHECK(d.filter(1, {2, 3}));
        CHECK(d.only(violation::filter_unknown_request));
    }
}

TEST_CASE("batch rules: ClearCache of a batch that never was", "[shard_sim]") {
    driver d{plain()};
    d.prefill(batch_of(1, {request(1, 5, 1)}));
    d.clear(1);  // has ended: harmless
    CHECK(d.total() == 0);
    d.clear(2);
    CHECK(d.only(violation::clear_unknown_batch));
}

TEST_CASE("call rules: computing calls do not overlap", "[shard_sim]") {
    driver d{plain()};
    auto& checker = d.under_test().checker();
    const auto first = checker.begin(method::decode);
    SECTION("two at once") {
        checker.begin(method::filter_batch);
        CHECK(d.only(violation::overlapping_calls));
        CHECK(checker.calls().peak_open() == 2);
    }
    SECTION("one after the other") {
        checker.end(first);
        checker.begin(method::prefill);
        CHECK(d.total() == 0);
    }
    SECTION("others may") {
        checker.begin(method::download_adapter);
        checker.begin(method::health);
        CHECK(d.total() == 0);
    }
    SECTION("after it was given up") {
        checker.give_up(first);
        checker.begin(method::warmup);
        CHECK(d.total() == 0);
    }
    CHECK(checker.calls().calls(method::decode) == 1);
}

TEST_CASE("budget rules: both sides of each limit", "[shard_sim]") {
    auto o = plain();
    SECTION("prompt tokens of a prefill") {
        driver d{o, false};
        d.warmup(10);
        d.prefill(batch_of(1, {request(1, 5, 1), request(2, 5, 1)}));
        CHECK(d.total() == 0);
        d.prefill(batch_of(2, {request(3, 5, 1), request(4, 6, 1)}));
        CHECK(d.only(violation::prefill_budget));
    }
    SECTION("padded prompts count as the longest") {
        o.model.kind = layout::padded;
        driver d{o, false};
        d.warmup(10);
        d.prefill(batch_of(1, {request(1, 2, 1), request(2, 5, 1)}));
        CHECK(d.total() == 0);
        d.prefill(batch_of(2, {request(3, 2, 1), request(4, 6, 1)}));
        CHECK(d.only(violation::prefill_budget));
    }
    SECTION("total tokens, what runs included") {
        o.model.max_supported_total_tokens = 30;
        driver d{o};
        d.prefill(batch_of(1, {request(1, 5, 10)}));
        d.prefill(batch_of(2, {request(2, 5, 10)}));
        CHECK(d.total() == 0);
        d.prefill(batch_of(3, {request(3, 1, 1)}));
        CHECK(d.only(violation::total_budget));
    }
    SECTION("total tokens, padded") {
        o.model.kind = layout::padded;
        o.model.max_supported_total_tokens = 30;
        driver d{o};
        d.prefill(batch_of(1, {request(1, 2, 10), request(2, 5, 10)}));
        CHECK(d.total() == 0);
        d.prefill(batch_of(2, {request(3, 2, 1)}));
        CHECK(d.only(violation::total_budget));
    }
    SECTION("total tokens, in blocks") {
        auto p = paged();
        p.model.max_supported_total_tokens = 64;
        driver d{p};
        d.prefill(batch_of(1, {on_blocks(request(1, 5, 10), {1, 2, 3})}));
        CHECK(d.total() == 0);
    }
    SECTION("sequences") {
        o.model.max_sequences = 2;
        driver d{o};
        d.prefill(batch_of(1, {request(1, 5, 10), request(2, 5, 10)}));
        CHECK(d.total() == 0);
        d.prefill(batch_of(2, {request(3, 5, 10)}));
        CHECK(d.only(violation::too_many_sequences));
    }
}
