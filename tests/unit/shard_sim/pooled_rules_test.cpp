#include "driver.hpp"

#include <catch2/catch.hpp>

using namespace truffula::shard_sim;
using namespace truffula::shard_sim::test;

namespace {

options pooling(options o) {
    o.model.supports_embeddings = true;
    o.model.supports_classification = true;
    return o;
}

outcome embed(driver& d, const wire::PrefillRequest& batch, wire::EmbedResponse* answer = nullptr) {
    wire::EmbedRequest in;
    wire::EmbedResponse out;
    *in.mutable_batch() = batch.batch();
    auto done = d.under_test().embed(in, out);
    if (answer != nullptr) *answer = out;
    return done;
}

}  // namespace

TEST_CASE("pooled rules: ids are not used twice while they live", "[shard_sim]") {
    driver d{pooling(plain())};
    d.prefill(batch_of(1, {request(1, 5, 3)}));
    SECTION("not that of a running request") {
        embed(d, batch_of(2, {request(1, 5, 0)}));
        CHECK(d.only(violation::request_id_reused));
    }
    SECTION("not one in a batch") {
        embed(d, batch_of(2, {request(2, 5, 0), request(2, 5, 0)}));
        CHECK(d.only(violation::request_id_reused));
    }
    SECTION("but after the call") {
        embed(d, batch_of(2, {request(2, 5, 0)}));
        embed(d, batch_of(3, {request(2, 5, 0)}));
        CHECK(d.total() == 0);
    }
}

TEST_CASE("pooled rules: a batch keeps to the prefill budget", "[shard_sim]") {
    driver d{pooling(plain()), false};
    d.warmup(10);
    embed(d, batch_of(1, {request(1, 5, 0), request(2, 5, 0)}));
    CHECK(d.total() == 0);
    embed(d, batch_of(2, {request(1, 5, 0), request(2, 6, 0)}));
    CHECK(d.only(violation::prefill_budget));
}

TEST_CASE("pooled rules: a batch has blocks that no running request has", "[shard_sim]") {
    driver d{pooling(paged())};
    d.prefill(batch_of(1, {on_blocks(request(1, 5, 3), {1})}));
    SECTION("its own") {
        embed(d, batch_of(2, {on_blocks(request(2, 16, 0), {2})}));
        embed(d, batch_of(3, {on_blocks(request(3, 16, 0), {2})}));
        CHECK(d.total() == 0);
    }
    SECTION("none") {
        embed(d, batch_of(2, {request(2, 5, 0)}));
        CHECK(d.only(violation::blocks_missing));
    }
    SECTION("a running request's") {
        embed(d, batch_of(2, {on_blocks(request(2, 5, 0), {1})}));
        CHECK(d.only(violation::block_shared));
    }
}

TEST_CASE("pooled rules: a poisoned prompt fails its whole batch", "[shard_sim]") {
    auto o = pooling(plain());
    o.model.fail_prompts = {"prompt 2"};
    driver d{o};
    wire::EmbedResponse answer;
    CHECK_FALSE(embed(d, batch_of(1, {request(1, 5, 0), request(2, 5, 0)}), &answer).error);
    CHECK(answer.errormsg().find("prompt 2") != std::string::npos);
    CHECK(answer.embeddings().empty());
    embed(d, batch_of(2, {request(1, 5, 0)}), &answer);
    CHECK(answer.errormsg().empty());
    CHECK(d.total() == 0);
}
