// How often, and for how long, a request may be overtaken.
#include "support/scheduler_world.hpp"

#include <catch2/catch.hpp>

#include <vector>

using namespace truffula;
using namespace std::chrono_literals;
using ids = std::vector<scheduler::request_id>;
using test::scheduler_world;

TEST_CASE("scheduler: a head that does not fit is passed by other adapters only", "[scheduler]") {
    scheduler_world w;
    w.submit({"", 900});
    w.submit({"", 1});
    w.submit({"a", 10});
    w.run_calls();
    CHECK(w.next(std::nullopt, 100) == ids{2});
}

TEST_CASE("scheduler: after max_overtakes nothing younger goes first", "[scheduler]") {
    scheduler::scheduler_settings s;
    s.max_overtakes = 3;
    scheduler_world w{scheduler_world::limits(1000, 4000), s};
    w.submit({"big", 900});
    w.run_calls();
    for (int i = 0; i < 4; ++i) w.submit({"small", 10});
    w.run_calls();
    CHECK(w.next(std::nullopt, 20) == ids{1, 2});
    CHECK(w.next(std::nullopt, 10) == ids{3});
    CHECK(w.next(std::nullopt, 100).empty());  // the fourth waits behind it, though it fits
    CHECK(w.next(std::nullopt, 1000) == ids{0, 4});
}

TEST_CASE("scheduler: after max_overtake_wait nothing younger goes first", "[scheduler]") {
    scheduler_world w;
    w.submit({"big", 900});
    w.submit({"small", 10});
    w.submit({"small", 10});
    w.submit({"small", 10});
    w.run_calls();
    CHECK(w.next(std::nullopt, 10) == ids{1});
    w.now += 1999ms;
    CHECK(w.next(std::nullopt, 10) == ids{2});
    w.now += 1ms;
    CHECK(w.next(std::nullopt, 10).empty());
    CHECK(w.next(std::nullopt, 910) == ids{0, 3});
}

TEST_CASE("scheduler: who must prove a token again holds nobody up", "[scheduler]") {
    scheduler_world w;
    w.submit({"private", 10, 10, "mine", adapter::source::hub});
    w.run_calls();
    CHECK(w.next() == ids{0});
    const auto id = w.next_id++;
    auto overtaken = w.make(id, {"private", 10, 10, "mine", adapter::source::hub});
    overtaken.overtaken_since = w.now;
    w.state.submit(std::move(overtaken), w.now);
    CHECK(w.next() == ids{id});
    w.end_all();
    // It comes back, long overtaken, when its token is proven no more.
    w.now += 3s;
    w.state.submit(w.make(id, {"private", 10, 10, "other", adapter::source::hub}), w.now);
    w.submit({"", 10});
    CHECK(w.next() == ids{2});
    w.run_calls();
    CHECK(w.next() == ids{id});
}

TEST_CASE("scheduler: one call looks past a bounded number of heads", "[scheduler]") {
    scheduler::scheduler_settings s;
    s.max_heads_passed = 2;
    scheduler_world w{scheduler_world::limits(1000, 4000), s};
    for (const auto* name : {"a", "b", "c"}) w.submit({name, 900});
    w.submit({"d", 10});
    w.run_calls();
    w.now += 1h;
    CHECK(w.next(std::nullopt, 100).empty());
}

TEST_CASE("scheduler: adapters past their cycle time are not passed for ever", "[scheduler]") {
    scheduler_world w;
    w.submit({"old"});
    w.run_calls();
    w.next();
    w.end_all();
    w.now += 3s;
    w.submit({"old"});
    int rounds = 0;
    for (bool served = false; !served && rounds < 1000; ++rounds) {
        w.submit({"new"});
        w.submit({"new"});
        w.run_calls();
        const auto batch = w.next(std::nullopt, 10);  // room for one at a time
        served = batch == ids{1};
        w.end_all();
        w.now += 1ms;
    }
    CHECK(rounds <= 66);
}

TEST_CASE("scheduler: adapters past their cycle time are overtaken side by side", "[scheduler]") {
    scheduler_world w;
    for (const auto* name : {"old", "older"}) w.submit({name});
    w.run_calls();
    w.next();
    w.end_all();
    w.now += 3s;
    ids missed{w.submit({"older"}), w.submit({"old"})};
    int rounds = 0;
    for (; !missed.empty() && rounds < 1000; ++rounds) {
        for (const auto* name : {"new", "newer"}) w.submit({name});
        w.run_calls();
        for (const auto id : w.next(std::nullopt, 10)) std::erase(missed, id);
        w.end_all();
        w.now += 1ms;
    }
    CHECK(rounds <= 67);
}

TEST_CASE("scheduler: a returned request keeps how often it was overtaken", "[scheduler]") {
    scheduler::scheduler_settings s;
    s.max_overtakes = 2;
    scheduler_world w{scheduler_world::limits(1000, 4000), s};
    w.submit({"big", 900});
    w.run_calls();
    for (int i = 0; i < 3; ++i) w.submit({"small", 10});
    w.run_calls();
    CHECK(w.next(std::nullopt, 20) == ids{1, 2});
    // Its turn has come, but its batch is not sent.
    auto batch = w.state.next_batch({}, std::nullopt, 900, 4000, w.now);
    REQUIRE(batch.size() == 1);
    std::vector<scheduler::entry> back;
    for (auto& e : batch) back.push_back(std::move(e.what));
    w.state.give_back(std::move(back), w.now);
    CHECK(w.next(std::nullopt, 100).empty());
    CHECK(w.next(std::nullopt, 1000) == ids{0, 3});
}
