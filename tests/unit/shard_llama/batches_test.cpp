#include "batch_world.hpp"

#include <catch2/catch.hpp>

using namespace truffula;
using namespace truffula::shard_llama;

TEST_CASE("batches: a request from its prompt to its last token", "[shard_llama]") {
    batch_world w;
    auto step = w.running.prefill(5, list(ask(1, {2, 3}, 3)));
    REQUIRE(step);
    CHECK(tokens(*step) == std::vector<token>{4});
    CHECK(step->generations[0].prefill_length == 2);
    REQUIRE(step->batch);
    CHECK(step->batch->id == 5);
    CHECK(step->batch->request_ids == ids{1});
    CHECK(step->batch->max_tokens == 5);
    CHECK(step->batch->current_tokens == 2);
    step = w.running.decode(ids{5});
    REQUIRE(step);
    CHECK(step->generations[0].prefill_length == 0);
    CHECK(step->batch->current_tokens == 3);
    step = w.running.decode(ids{5});
    REQUIRE(step);
    CHECK_FALSE(step->batch);
    const auto& last = step->generations[0].finished;
    REQUIRE(last);
    CHECK(last->text == "efg");
    CHECK(last->reason == finish::length);
    CHECK(last->generated_tokens == 3);
    CHECK(refusal(w.running.decode(ids{5})) == "unknown batch id 5");
    CHECK(w.free_seats() == 8);
}

TEST_CASE("batches: positions follow each other", "[shard_llama]") {
    batch_world w;
    REQUIRE(w.running.prefill(1, list(ask(1, {2, 3, 4}))));
    REQUIRE(w.running.decode(ids{1}));
    REQUIRE(w.cells->passes.size() == 2);
    CHECK(w.cells->passes[0][2].position == 2);
    CHECK_FALSE(w.cells->passes[0][1].wants_logits);
    CHECK(w.cells->passes[1][0].position == 3);
    CHECK(w.cells->passes[1][0].id == 5);
}

TEST_CASE("batches: decode joins under the first id", "[shard_llama]") {
    batch_world w;
    REQUIRE(w.running.prefill(1, list(ask(10, {0}))));
    REQUIRE(w.running.prefill(2, list(ask(20, {5}), ask(21, {6}))));
    const auto step = w.running.decode(ids{2, 1});
    REQUIRE(step);
    CHECK(tokens(*step) == std::vector<token>{7, 8, 2});
    CHECK(step->batch->id == 2);
    CHECK(step->batch->request_ids == ids{20, 21, 10});
    CHECK(refusal(w.running.decode(ids{1})) == "unknown batch id 1");
}

TEST_CASE("batches: one pass per adapter, the one that is set first", "[shard_llama]") {
    batch_world w;
    std::vector<request> asked;
    for (std::uint32_t i = 0; i < 6; ++i) asked.push_back(with_adapter(ask(i, {1}), i % 3));
    auto step = w.running.prefill(1, std::move(asked));
    REQUIRE(step);
    CHECK(tokens(*step) == std::vector<token>{2, 3, 3, 2, 3, 3});
    CHECK(w.cells->passes.size() == 3);
    const auto set = w.cells->current();
    const auto changes = w.cells->used.size();
    step = w.running.decode(ids{1});
    REQUIRE(step);
    CHECK(tokens(*step) == std::vector<token>{3, 5, 5, 3, 5, 5});
    CHECK(w.cells->used.size() == changes + 2);  // three adapters, one was set
    CHECK(w.cells->passes[3].size() == 2);
    CHECK(w.cells->current() != set);
}

TEST_CASE("batches: sequences of a pass are in the order of their cells", "[shard_llama]") {
    batch_world w;
    REQUIRE(w.running.prefill(1, list(ask(1, {1}))));
    REQUIRE(w.running.prefill(2, list(ask(2, {1}))));
    REQUIRE(w.running.decode(ids{2, 1}));
    const auto& pass = w.cells->passes.back();
    CHECK(pass[0].sequence == 0);
    CHECK(pass[1].sequence == 1);
}

TEST_CASE("batches: filter keeps what it is told", "[shard_llama]") {
    batch_world w;
    REQUIRE(w.running.prefill(1, list(ask(1, {1}), ask(2, {2}), ask(3, {3}))));
    CHECK_FALSE(w.running.filter(1, ids{1, 4}));
    CHECK_FALSE(w.running.filter(9, ids{1}));
    const auto left = w.running.filter(1, ids{3, 1});
    REQUIRE(left);
    CHECK(left->request_ids == ids{1, 3});
    CHECK(w.free_seats() == 6);
    const auto step = w.running.decode(ids{1});
    REQUIRE(step);
    CHECK(tokens(*step) == std::vector<token>{3, 5});
    const auto none = w.running.filter(1, {});
    REQUIRE(none);
    CHECK(none->request_ids.empty());
    CHECK(refusal(w.running.decode(ids{1})) == "unknown batch id 1");
    CHECK(w.free_seats() == 8);
}

TEST_CASE("batches: clear forgets one or all", "[shard_llama]") {
    batch_world w;
    for (std::uint64_t id = 1; id <= 3; ++id) {
        REQUIRE(w.running.prefill(id, list(ask(id, {1}))));
    }
    w.running.clear(2);
    w.running.clear(99);
    CHECK(w.free_seats() == 6);
    w.running.clear(std::nullopt);
    CHECK(w.free_seats() == 8);
}

TEST_CASE("batches: an offloaded adapter stays with who runs with it", "[shard_llama]") {
    batch_world w;
    REQUIRE(w.running.prefill(1, list(with_adapter(ask(1, {1}), 1))));
    REQUIRE(w.adapters.offload(1));
    const auto step = w.running.decode(ids{1});
    REQUIRE(step);
    CHECK(tokens(*step) == std::vector<token>{5});
    CHECK_FALSE(w.running.prefill(2, list(with_adapter(ask(2, {1}), 1))));
}
