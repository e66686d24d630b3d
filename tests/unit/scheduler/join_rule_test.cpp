#include "truffula/scheduler/join_rule.hpp"

#include "truffula/scheduler/spare_places.hpp"

#include <catch2/catch.hpp>

#include <limits>

using namespace std::chrono_literals;
using truffula::scheduler::join_rule;
using truffula::scheduler::join_settings;
using truffula::scheduler::prefill_cost;
using truffula::scheduler::waiting_now;

namespace {

join_rule weighing(float ttft_weight = 1.0F, std::size_t max_waiting_tokens = 1000) {
    join_rule rule{join_settings{std::nullopt, max_waiting_tokens, ttft_weight}};
    rule.decoded(0ms);
    rule.prefilled(100, 10ms);
    return rule;
}

double milliseconds(std::chrono::steady_clock::duration d) {
    return std::chrono::duration<double, std::milli>(d).count();
}

}  // namespace

TEST_CASE("join rule: the minimum is the ratio of those that run, rounded down", "[scheduler]") {
    const join_rule rule{join_settings{1.2F, 20}};
    CHECK(rule.terms(10).min_size == 12);
    CHECK(rule.terms(1).min_size == 1);
    CHECK(join_rule{join_settings{0.3F, 20}}.terms(3).min_size == 0);
    CHECK_FALSE(rule.terms(10).allow({11, 1h, 0}));
    CHECK(rule.terms(10).allow({12, 0s, 0}));
}

TEST_CASE("join rule: after max_waiting_tokens steps any size will do", "[scheduler]") {
    join_rule rule{join_settings{1.2F, 2}};
    rule.decoded(1ms);
    CHECK(rule.terms(10).min_size == 12);
    rule.decoded(1ms);
    CHECK_FALSE(rule.terms(10).min_size);
    rule.joined();
    CHECK(rule.terms(10).min_size == 12);
}

TEST_CASE("join rule: nobody joins when nobody waits", "[scheduler]") {
    CHECK_FALSE(truffula::scheduler::join_terms{}.allow({}));
}

TEST_CASE("join rule: auto weighs the wait against the stall of those who run", "[scheduler]") {
    const auto rule = weighing();
    // Twenty that run lose 10 ms each by a prefill.
    CHECK_FALSE(rule.terms(20).allow({2, 199ms, 0}));
    CHECK(rule.terms(20).allow({2, 200ms, 0}));
    CHECK(rule.terms(10).allow({2, 100ms, 0}));
}

TEST_CASE("join rule: auto counts those who wait for a slot as stalled, too", "[scheduler]") {
    const auto rule = weighing();
    // And for each of them three that will come while the queue lasts.
    CHECK_FALSE(rule.terms(20).allow({2, 599ms, 10}));
    CHECK(rule.terms(20).allow({2, 601ms, 10}));
    // Their wait weighs as much as that of those who may join.
    CHECK_FALSE(weighing(4.0F).terms(20).allow({2, 449ms, 10}));
    CHECK(weighing(4.0F).terms(20).allow({2, 451ms, 10}));
}

TEST_CASE("join rule: auto counts idle slots as a stall of those who wait for one", "[scheduler]") {
    // Ten wait for a slot: they and those behind lose 400 ms by the prefill, the twenty that run
    // 200; by two of eight slots that are idle for 40 ms each they lose 600.
    CHECK_FALSE(weighing().terms(20).allow({2, 0ms, 10, 8, 2, 79ms}));
    CHECK(weighing().terms(20).allow({2, 0ms, 10, 8, 2, 81ms}));
    // Of four slots one is a larger part.
    CHECK(weighing().terms(20).allow({2, 0ms, 10, 4, 2, 41ms}));
    CHECK_FALSE(weighing().terms(20).allow({2, 0ms, 10, 4, 2, 39ms}));
}

TEST_CASE("join rule: auto counts the step for which slots would be idle, too", "[scheduler]") {
    auto rule = weighing();
    for (int i = 0; i < 200; ++i) rule.decoded(20ms);
    // Of the 600 ms, 40 are the two requests' own step, and 300 that of the two slots.
    CHECK_FALSE(rule.terms(20).allow({2, 0ms, 10, 8, 2, 34ms}));
    CHECK(rule.terms(20).allow({2, 0ms, 10, 8, 2, 36ms}));
}

TEST_CASE("join rule: auto minds idle slots only while somebody waits for one", "[scheduler]") {
    CHECK_FALSE(weighing().terms(20).allow({2, 199ms, 0, 8, 2, 1h}));
    CHECK(weighing().terms(20).allow({2, 201ms, 0, 8, 2, 1h}));
}

TEST_CASE("join rule: auto counts the step that they would wait more", "[scheduler]") {
    auto rule = weighing();
    for (int i = 0; i < 200; ++i) rule.decoded(20ms);
    CHECK_FALSE(rule.terms(20).allow({2, 159ms, 0}));
    CHECK(rule.terms(20).allow({2, 161ms, 0}));
}

TEST_CASE("join rule: auto joins the sooner the more waiting weighs", "[scheduler]") {
    CHECK_FALSE(weighing(4.0F).terms(20).allow({1, 49ms, 0}));
    CHECK(weighing(4.0F).terms(20).allow({1, 51ms, 0}));
}

TEST_CASE("join rule: auto lets nobody wait beyond max_waiting_tokens steps", "[scheduler]") {
    auto rule = weighing(1.0F, 3);
    CHECK_FALSE(rule.terms(1000).allow({1, 1ms, 0}));
    rule.decoded(0ms);
    rule.decoded(0ms);
    CHECK(rule.terms(1000).allow({1, 1ms, 0}));
}

TEST_CASE("join rule: auto without a measured prefill lets all join at once", "[scheduler]") {
    const join_rule rule{join_settings{}};
    CHECK(rule.terms(1000).allow({1, 0s, 0}));
}

TEST_CASE("prefill cost: what does not grow with the tokens is fixed", "[scheduler]") {
    prefill_cost cost;
    CHECK(milliseconds(cost.fixed()) == 0);
    for (int i = 1; i <= 50; ++i) cost.add(static_cast<std::uint64_t>(i) * 10, 5ms + i * 10 * 20us);
    CHECK(milliseconds(cost.fixed()) == Approx(5).epsilon(0.01));
}

TEST_CASE("prefill cost: all is fixed when all prompts are of one length", "[scheduler]") {
    prefill_cost cost;
    cost.add(100, 8ms);
    CHECK(milliseconds(cost.fixed()) == Approx(8));
    for (int i = 0; i < 20; ++i) cost.add(100, 12ms);
    CHECK(milliseconds(cost.fixed()) == Approx(12).epsilon(0.05));
}

TEST_CASE("prefill cost: noise never makes it negative or more than the mean", "[scheduler]") {
    prefill_cost falling;  // longer prompts took less time
    falling.add(10, 20ms);
    falling.add(1000, 10ms);
    CHECK(milliseconds(falling.fixed()) <= 20);
    CHECK(milliseconds(falling.fixed()) >= 10);
    prefill_cost steep;
    steep.add(1000, 1ms);
    steep.add(2000, 30ms);
    CHECK(milliseconds(steep.fixed()) == 0);
}

TEST_CASE("spare places: who finds no room does not make a join urgent", "[scheduler]") {
    truffula::scheduler::spare_places spare;
    const std::chrono::steady_clock::time_point start{1h};
    spare.pass_time(start);
    spare.formed(true, 0);  // the batch is full, and a hundred wait
    spare.pass_time(start + 20ms);
    spare.formed(false, 2);  // two have left it since
    spare.pass_time(start + 40ms);
    const auto who = spare.limit({100, 10s, 3}, 2);
    CHECK(who.count == 2);
    CHECK(who.waited == 40ms);
    CHECK(who.blocked == 3);
    SECTION("those who came later than the places have waited less") {
        CHECK(spare.limit({3, 5ms, 0}, 2).waited == 5ms);
    }
    SECTION("slots that nobody else would use are not idle for longer, either") {
        const auto slots = spare.limit({100, 10s, 3, 8, 5, 10s}, 2);
        CHECK(slots.slots == 8);
        CHECK(slots.idle_slots == 2);
        CHECK(slots.slots_idle == 40ms);
    }
    SECTION("with room for all, all count") {
        CHECK(spare.limit({2, 10s, 0}, 2).waited == 10s);
    }
    SECTION("a batch that takes somebody starts anew") {
        spare.formed(true, 0);
        CHECK(spare.limit({100, 10s, 3}, 1).waited == 0ms);
    }
}
