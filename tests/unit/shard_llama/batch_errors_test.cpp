#include "batch_world.hpp"

#include <catch2/catch.hpp>

using namespace truffula;
using namespace truffula::shard_llama;

TEST_CASE("batches: a refused prefill leaves nothing", "[shard_llama]") {
    batch_world w;
    const auto good = ask(1, {1});
    CHECK(refusal(w.running.prefill(1, list(good, ask(2, {})))) == "empty prompt");
    CHECK(refusal(w.running.prefill(1, list(good, ask(2, {16})))) == "token 16 is unknown");
    CHECK(refusal(w.running.prefill(1, list(good, ask(2, {-1})))) == "token -1 is unknown");
    CHECK(refusal(w.running.prefill(1, list(good, with_adapter(good, 7)))).find("index 7") > 0);
    CHECK(
        refusal(w.running.prefill(1, list(good, ask(2, {1}, 10)))) ==
        "11 tokens, but a sequence has 10");
    CHECK(
        refusal(w.running.prefill(1, list(good, ask(2, {1}, 0xFFFFFFFF)))) ==
        "4294967296 tokens are too many");
    CHECK(w.free_seats() == 8);
    CHECK(w.cells->passes.empty());
    REQUIRE(w.running.prefill(1, list(good)));
    CHECK(refusal(w.running.prefill(1, list(good))) == "batch id 1 is in use");
    CHECK(w.running.decode(ids{1}));
}

TEST_CASE("batches: a refused decode loses nothing", "[shard_llama]") {
    batch_world w;
    REQUIRE(w.running.prefill(1, list(ask(1, {1}))));
    CHECK(refusal(w.running.decode({})) == "no batch to decode");
    CHECK(refusal(w.running.decode(ids{1, 2})) == "unknown batch id 2");
    CHECK(w.running.decode(ids{1}));
}

TEST_CASE("batches: a failed step loses its batches only", "[shard_llama]") {
    batch_world w;
    REQUIRE(w.running.prefill(1, list(ask(1, {1}))));
    REQUIRE(w.running.prefill(2, list(ask(2, {1}))));
    w.cells->failure = error{errc::generation, "no"};
    CHECK(refusal(w.running.prefill(3, list(ask(3, {1})))) == "no");
    CHECK(w.free_seats() == 6);
    w.cells->failure = error{errc::generation, "no"};
    CHECK(refusal(w.running.decode(ids{1})) == "no");
    CHECK(w.free_seats() == 7);
    CHECK(refusal(w.running.decode(ids{1})) == "unknown batch id 1");
    CHECK(w.running.decode(ids{2}));
}
