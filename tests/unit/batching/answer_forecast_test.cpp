#include "batching/answer_forecast.hpp"

#include <catch2/catch.hpp>

#include <initializer_list>

using truffula::batching::answer_forecast;
using namespace std::chrono_literals;

namespace {

constexpr auto busy_poll = 400us;

answer_forecast after(std::initializer_list<std::chrono::microseconds> answers) {
    answer_forecast f{busy_poll};
    for (const auto took : answers) f.answered(took);
    return f;
}

}  // namespace

TEST_CASE("answer forecast: polls around the usual time", "[batching]") {
    const auto f = after({10'000us, 10'010us, 10'020us, 10'030us, 10'040us, 10'050us, 10'060us});
    const auto due = f.next();
    REQUIRE(due);
    CHECK(due->from == 9'730us);
    CHECK(due->until == 10'130us);
}

TEST_CASE("answer forecast: nothing is due before seven answers", "[batching]") {
    auto f = after({10ms, 10ms, 10ms, 10ms, 10ms, 10ms});
    CHECK_FALSE(f.next());
    f.answered(10ms);
    CHECK(f.next());
}

TEST_CASE("answer forecast: the last seven count", "[batching]") {
    auto f = after({10ms, 10ms, 10ms, 10ms, 10ms, 10ms, 10ms});
    for (int i = 0; i < 7; ++i) f.answered(20ms);
    REQUIRE(f.next());
    CHECK(f.next()->from == 19'700us);
}

TEST_CASE("answer forecast: one that is early and one that is late change nothing", "[batching]") {
    const auto f = after({10ms, 10ms, 2ms, 10ms, 90ms, 10ms, 10ms});
    REQUIRE(f.next());
    CHECK(f.next()->from == 9'700us);
    CHECK_FALSE(after({10ms, 10ms, 2ms, 2ms, 10ms, 10ms, 10ms}).next());
    CHECK_FALSE(after({10ms, 10ms, 90ms, 90ms, 10ms, 10ms, 10ms}).next());
}

TEST_CASE("answer forecast: steps may differ by a window", "[batching]") {
    CHECK(after({10'000us, 10'000us, 10'000us, 10'100us, 10'400us, 10'400us, 10'400us}).next());
    CHECK_FALSE(
        after({10'000us, 10'000us, 10'000us, 10'100us, 10'401us, 10'401us, 10'401us}).next());
}

TEST_CASE("answer forecast: steps are as long as twenty windows at least", "[batching]") {
    CHECK(after({8ms, 8ms, 8ms, 8ms, 8ms, 8ms, 8ms}).next());
    CHECK_FALSE(after({8ms, 8ms, 8ms, 7'999us, 7'999us, 7'999us, 7'999us}).next());
}

TEST_CASE("answer forecast: no windows without busy polling", "[batching]") {
    answer_forecast f{0us};
    for (int i = 0; i < 7; ++i) f.answered(10ms);
    CHECK_FALSE(f.next());
    CHECK_FALSE(f.next_filter());
}

TEST_CASE(
    "answer forecast: a FilterBatch is polled for while it is answered at once", "[batching]") {
    auto f = after({10ms});
    REQUIRE(f.next_filter());
    CHECK(f.next_filter()->from == 0us);
    CHECK(f.next_filter()->until == busy_poll);
    f.filtered(399us);
    CHECK(f.next_filter());
    f.filtered(400us);
    CHECK_FALSE(f.next_filter());
    f.filtered(100us);
    CHECK(f.next_filter());
}

TEST_CASE("answer forecast: between short steps nobody polls for a FilterBatch", "[batching]") {
    CHECK_FALSE(answer_forecast{busy_poll}.next_filter());
    auto f = after({10ms, 7'999us});
    CHECK_FALSE(f.next_filter());
    f.answered(8ms);
    CHECK(f.next_filter());
}
