#include "fakes.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <optional>
#include <vector>

using namespace truffula;
using namespace truffula::shard_llama;

namespace {

std::vector<input> inputs(int count, bool all_want) {
    std::vector<input> made;
    for (int i = 0; i < count; ++i) made.push_back({i, i, 0, all_want || i + 1 == count});
    return made;
}

}  // namespace

TEST_CASE("backend: seats take the lowest free sequence id", "[shard_llama]") {
    const auto cells =
        std::make_shared<fake_backend>(context_options{.max_total_tokens = 30, .max_sequences = 3});
    std::optional<seat> first{*cells->take_seat(10)};
    const auto second = cells->take_seat(10);
    CHECK(first->sequence() == 0);
    CHECK(second->sequence() == 1);
    first.reset();
    CHECK(cells->forgotten == std::vector<std::int32_t>{0});
    const auto third = cells->take_seat(10);
    CHECK(third->sequence() == 0);
    const auto fourth = cells->take_seat(10);
    CHECK(fourth->sequence() == 2);
    const auto fifth = cells->take_seat(1);
    REQUIRE_FALSE(fifth);
    CHECK(fifth.error().code == errc::overloaded);
}

TEST_CASE("backend: a sequence has its part of the cells", "[shard_llama]") {
    const auto own =
        std::make_shared<fake_backend>(context_options{.max_total_tokens = 30, .max_sequences = 3});
    CHECK(own->take_seat(10));
    const auto refused = own->take_seat(11);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::validation);
    CHECK(refused.error().detail == "11 tokens, but a sequence has 10");
}

TEST_CASE("backend: shared cells run out", "[shard_llama]") {
    const auto shared = std::make_shared<fake_backend>(
        context_options{.max_total_tokens = 30, .max_sequences = 3, .shared_cells = true});
    const auto most = shared->take_seat(29);
    REQUIRE(most);
    const auto refused = shared->take_seat(2);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::overloaded);
    CHECK(shared->take_seat(1));
    CHECK_FALSE(shared->take_seat(31));
}

TEST_CASE("backend: a seat keeps its backend alive", "[shard_llama]") {
    auto cells = std::make_shared<fake_backend>(context_options{});
    const std::weak_ptr<fake_backend> seen = cells;
    std::optional<seat> place{*cells->take_seat(1)};
    cells.reset();
    CHECK_FALSE(seen.expired());
    place.reset();
    CHECK(seen.expired());
}

TEST_CASE("backend: passes hold at most step-tokens inputs", "[shard_llama]") {
    const auto cells =
        std::make_shared<fake_backend>(context_options{.max_sequences = 2, .step_tokens = 4});
    std::vector<std::size_t> seen;
    const auto note = [&seen](std::size_t i, std::span<float>) { seen.push_back(i); };
    REQUIRE(cells->run({}, inputs(9, false), note));
    REQUIRE(cells->passes.size() == 3);
    CHECK(cells->passes[0].size() == 4);
    CHECK(cells->passes[1].size() == 4);
    CHECK(cells->passes[2].size() == 1);
    CHECK(seen == std::vector<std::size_t>{8});
}

TEST_CASE("backend: passes give at most one row per sequence", "[shard_llama]") {
    const auto cells =
        std::make_shared<fake_backend>(context_options{.max_sequences = 2, .step_tokens = 4});
    std::vector<std::size_t> seen;
    const auto note = [&seen](std::size_t i, std::span<float>) { seen.push_back(i); };
    REQUIRE(cells->run({}, inputs(5, true), note));
    CHECK(cells->passes.size() == 3);
    CHECK(seen == std::vector<std::size_t>{0, 1, 2, 3, 4});
}

TEST_CASE("backend: sets an adapter only when it changes", "[shard_llama]") {
    const auto cells = std::make_shared<fake_backend>(context_options{});
    const auto weights = fake_weights();
    const auto ignore = [](std::size_t, std::span<float>) {};
    for (const auto& with : {adapter{}, weights, weights, adapter{}}) {
        REQUIRE(cells->run(with, inputs(1, true), ignore));
        CHECK(cells->current() == with);
    }
    CHECK(cells->used == std::vector<adapter>{weights, {}});
}
