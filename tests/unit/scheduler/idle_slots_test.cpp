// Slots that stand idle while somebody waits for one.
#include "truffula/scheduler/idle_slots.hpp"

#include "support/scheduler_world.hpp"

#include <catch2/catch.hpp>

using namespace truffula;
using namespace std::chrono_literals;
using scheduler::idle_slots;
using test::scheduler_world;
using ids = std::vector<scheduler::request_id>;

namespace {

/// One slot, taken by adapter `a`; a request for `b` waits for it. A prefill costs those who run
/// 100 ms in all, and those who wait for the slot 40.
struct one_slot : scheduler_world {
    explicit one_slot(scheduler::scheduler_settings s = one())
        : scheduler_world(limits(), std::move(s)) {
        end(take("a"));
        REQUIRE(next().empty());  // that it has ended is known from here on
        submit({"b"});
        terms.weigh = {10, 10ms, 0ms, 1.0F};
    }

    static scheduler::scheduler_settings one() {
        scheduler::scheduler_settings s;
        s.adapters.max_active_adapters = 1;
        return s;
    }

    scheduler::request_id take(const char* name) {
        const auto id = submit({name});
        run_calls();
        REQUIRE(next() == ids{id});
        return id;
    }

    /// Adapter calls are not made here, so that `a` stays where it is.
    bool joins_after(std::chrono::milliseconds wait) {
        now += wait;
        return !next(terms).empty();
    }

    scheduler::join_terms terms;
};

}  // namespace

TEST_CASE("idle slots: their times add up and are forgotten", "[scheduler]") {
    const idle_slots::time_point start{1h};
    idle_slots slots;
    slots.note(7, std::nullopt);
    CHECK(slots.count() == 0);
    CHECK(slots.waited(start) == 0s);
    slots.note(3, start);
    slots.note(900, start + 1s);
    CHECK(slots.count() == 2);
    CHECK(slots.waited(start + 3s) == 5s);
    slots.note(3, start + 2s);  // another request is its first now
    CHECK(slots.count() == 2);
    CHECK(slots.waited(start + 3s) == 3s);
    slots.note(900, std::nullopt);
    slots.note(900, std::nullopt);
    CHECK(slots.count() == 1);
    CHECK(slots.waited(start + 3s) == 1s);
}

TEST_CASE("idle slots: one that could be used is a stall of who waits for it", "[scheduler]") {
    one_slot w;
    w.submit({"a"});
    // Seven times what it waits itself: one and a half times for four that are behind it.
    CHECK_FALSE(w.joins_after(19ms));
    CHECK(w.joins_after(2ms));
}

TEST_CASE("idle slots: one that is run with is none, until that has ended", "[scheduler]") {
    one_slot w;
    const auto first = w.take("a");
    w.submit({"a"});
    CHECK_FALSE(w.joins_after(60ms));
    w.end(first);
    CHECK_FALSE(w.joins_after(0ms));  // idle from here on: 80 ms are missing of 140
    CHECK_FALSE(w.joins_after(11ms));
    CHECK(w.joins_after(1ms));
}

TEST_CASE("idle slots: without requests for its adapter a slot is not idle", "[scheduler]") {
    one_slot w;
    w.submit({});
    const auto other = w.submit({"a"});
    w.state.cancel(other);
    CHECK_FALSE(w.joins_after(139ms));
    CHECK(w.joins_after(1ms));
}

TEST_CASE("idle slots: the base model and pinned adapters take none from others", "[scheduler]") {
    auto settings = one_slot::one();
    settings.adapters.max_active_adapters = 2;
    adapter::adapter_ref pinned;
    pinned.what.ids = {"a"};
    pinned.from = adapter::source::local;
    settings.adapters.pinned = {pinned};
    one_slot w{settings};
    w.run_calls();
    REQUIRE(w.state.adapters().active() == 2);
    REQUIRE(w.next() == ids{1});  // `b` has the other slot
    w.submit({"c"});
    w.submit({"a"});
    CHECK_FALSE(w.joins_after(139ms));
    CHECK(w.joins_after(1ms));
}
