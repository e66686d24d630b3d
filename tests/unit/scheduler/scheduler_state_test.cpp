#include "truffula/scheduler/scheduler_state.hpp"

#include "support/scheduler_world.hpp"

#include <catch2/catch.hpp>

#include <vector>

using namespace truffula;
using namespace std::chrono_literals;
using ids = std::vector<scheduler::request_id>;
using test::scheduler_world;

TEST_CASE("scheduler: requests of one adapter leave in arrival order", "[scheduler]") {
    scheduler_world w;
    for (int i = 0; i < 5; ++i) w.submit({"a"});
    w.run_calls();
    CHECK(w.next() == ids{0, 1, 2, 3, 4});
}

TEST_CASE("scheduler: the oldest front goes first over all adapters", "[scheduler]") {
    scheduler_world w;
    w.submit({"a"});
    w.submit({});
    w.submit({"b"});
    w.submit({"a"});
    w.run_calls();
    w.now += 1h;  // all past their cycle time
    CHECK(w.next() == ids{0, 1, 2, 3});
}

TEST_CASE("scheduler: adapters within their cycle time come first", "[scheduler]") {
    scheduler_world w;
    w.submit({"old"});
    w.run_calls();
    w.next();
    w.end_all();
    w.now += 3s;
    w.submit({"old"});
    w.submit({"new"});
    w.run_calls();
    CHECK(w.next() == ids{2, 1});
}

TEST_CASE("scheduler: the prefill budget ends a batch exactly", "[scheduler]") {
    scheduler_world w;
    w.submit({"", 600});
    w.submit({"", 400});
    w.submit({"", 1});
    SECTION("all that fits") {
        CHECK(w.next(std::nullopt, 1001) == ids{0, 1, 2});
    }
    SECTION("to the token") {
        CHECK(w.next(std::nullopt, 1000) == ids{0, 1});
    }
    SECTION("not one more: the head is not passed by its own adapter") {
        CHECK(w.next(std::nullopt, 999) == ids{0});
    }
}

TEST_CASE("scheduler: the total budget counts prompt and new tokens", "[scheduler]") {
    scheduler_world w;
    w.submit({"", 10, 90});
    w.submit({"", 10, 90});
    CHECK(w.next(std::nullopt, 1000, 200) == ids{0, 1});
    w.end_all();
    w.submit({"", 10, 90});
    w.submit({"", 10, 90});
    CHECK(w.next(std::nullopt, 1000, 199) == ids{2});
}

TEST_CASE("scheduler: padded shards pay for the longest prompt of all", "[scheduler]") {
    auto l = scheduler_world::limits(1000, 1000);
    l.model = scheduler::cost_model::padded;
    scheduler_world w{l};
    w.submit({"", 10, 10});
    w.submit({"", 100, 10});
    SECTION("in the prefill") {
        CHECK(w.next(std::nullopt, 199) == ids{0});
        w.end_all();
        CHECK(w.next(std::nullopt, 200) == ids{1});
    }
    SECTION("together with those that run") {
        REQUIRE(w.next(std::nullopt, 100, 1000) == ids{0});
        // Running: 1 x 10 + 10. Joined: 2 x 100 + 20 = 220, so 200 more are needed.
        CHECK(w.next(std::nullopt, 1000, 199).empty());
        CHECK(w.next(std::nullopt, 1000, 200) == ids{1});
    }
}

TEST_CASE("scheduler: paged shards give what has blocks", "[scheduler]") {
    auto l = scheduler_world::limits(1000, 160);
    l.model = scheduler::cost_model::blocks;
    l.block_size = 16;  // 10 blocks, one of them reserved
    scheduler_world w{l};
    w.submit({"", 16, 17});  // 32 slots: 2 blocks
    w.submit({"", 97, 16});  // 112 slots: 7 blocks
    w.submit({"", 1, 1});
    CHECK(w.next() == ids{0, 1});
    REQUIRE(w.running[0].blocks);
    CHECK(w.running[0].blocks->blocks().size() == 2);
    CHECK(w.next().empty());
    w.end(0);
    CHECK(w.state.runnable());
    CHECK(w.next() == ids{2});
}

TEST_CASE("scheduler: what can never fit is refused with both numbers", "[scheduler]") {
    scheduler_world w{scheduler_world::limits(100, 200)};
    CHECK(w.submit({"", 100, 100}) == 0);
    CHECK_FALSE(w.sinks[0]->failure);
    w.submit({"", 101, 1});
    REQUIRE(w.sinks[1]->failure);
    CHECK(w.sinks[1]->failure->code == errc::validation);
    CHECK(w.sinks[1]->failure->detail.find("101") != std::string::npos);
    CHECK(w.sinks[1]->failure->detail.find("100") != std::string::npos);
    w.submit({"", 100, 101});
    REQUIRE(w.sinks[2]->failure);
    CHECK(w.sinks[2]->failure->detail.find("201") != std::string::npos);
    CHECK(w.state.waiting() == 1);
}

TEST_CASE("scheduler: admission runs again when budgets shrink", "[scheduler]") {
    scheduler_world w{scheduler_world::limits(100, 200)};
    w.submit({"", 50, 50});
    w.submit({"", 100, 50});
    w.state.shards_changed(scheduler_world::limits(60, 200), w.now);
    w.drain();
    CHECK_FALSE(w.sinks[0]->failure);
    CHECK(w.sinks[1]->failure);
    CHECK(w.next() == ids{0});
}

TEST_CASE("scheduler: a batch below the minimum size is not formed", "[scheduler]") {
    scheduler_world w;
    w.submit({});
    w.submit({});
    CHECK(w.next(std::size_t{3}).empty());
    CHECK(w.state.waiting() == 2);
    CHECK(w.next(std::size_t{2}) == ids{0, 1});
}

TEST_CASE("scheduler: the minimum is asked once: what then fits goes", "[scheduler]") {
    scheduler_world w;
    w.submit({"", 600});
    w.submit({"", 600});
    CHECK(w.next(std::size_t{2}) == ids{0});
    CHECK(w.state.running() == 1);
}

TEST_CASE("scheduler: waits are weighed from when a request could be scheduled", "[scheduler]") {
    scheduler_world w;
    scheduler::join_terms terms;
    terms.weigh = {10, 10ms, 0ms, 1.0F};  // worth it after 100 ms of waiting
    w.submit({"a"});                      // its adapter takes a second
    w.now += 1s;
    w.run_calls();
    CHECK(w.next(terms).empty());
    w.submit({});
    w.now += 49ms;
    CHECK(w.next(terms).empty());
    w.now += 1ms;
    CHECK(w.next(terms) == ids{0, 1});
    w.submit({});
    CHECK(w.next(terms).empty());  // the wait of those who went is forgotten
}

TEST_CASE("scheduler: who waits for an adapter is stalled by a prefill, too", "[scheduler]") {
    scheduler_world w;
    scheduler::join_terms terms;
    terms.weigh = {10, 10ms, 0ms, 1.0F};
    w.submit({});
    w.submit({"a"});  // not there yet; it counts for four
    w.now += 139ms;
    CHECK(w.next(terms).empty());
    w.now += 1ms;
    CHECK(w.next(terms) == ids{0});
}

TEST_CASE("scheduler: max_batch_size counts those that run", "[scheduler]") {
    scheduler::scheduler_settings s;
    s.max_batch_size = 3;
    scheduler_world w{scheduler_world::limits(1000, 4000), s};
    for (int i = 0; i < 5; ++i) w.submit({});
    CHECK(w.next() == ids{0, 1, 2});
    CHECK(w.next().empty());
    w.end(1);
    CHECK(w.next() == ids{3});
}

TEST_CASE("scheduler: a cancelled request leaves at once with its permit", "[scheduler]") {
    scheduler_world w;
    const auto id = w.submit({"a"});
    CHECK(w.permits.in_use() == 1);
    CHECK(w.state.cancel(id));
    CHECK(w.permits.in_use() == 0);
    CHECK(w.state.waiting() == 0);
    CHECK_FALSE(w.state.cancel(id));
    w.run_calls();
    CHECK(w.next().empty());
}

TEST_CASE("scheduler: a returned batch goes back to its place", "[scheduler]") {
    scheduler_world w;
    for (int i = 0; i < 3; ++i) w.submit({});
    auto batch = w.state.next_batch({}, std::nullopt, 20, 4000, w.now);
    REQUIRE(batch.size() == 2);
    std::vector<scheduler::entry> back;
    for (auto& e : batch) back.push_back(std::move(e.what));
    w.state.give_back(std::move(back), w.now);
    CHECK(w.state.running() == 0);
    CHECK(w.next() == ids{0, 1, 2});
}

TEST_CASE("scheduler: who left while a batch was formed is not queued again", "[scheduler]") {
    scheduler_world w;
    w.submit({});
    w.submit({});
    auto batch = w.state.next_batch({}, std::nullopt, 1000, 4000, w.now);
    REQUIRE(batch.size() == 2);
    w.sinks[0]->has_left = true;
    CHECK_FALSE(w.state.cancel(0));  // it is not in the queue now
    std::vector<scheduler::entry> back;
    for (auto& e : batch) back.push_back(std::move(e.what));
    batch.clear();
    w.state.give_back(std::move(back), w.now);
    CHECK(w.state.waiting() == 1);
    CHECK(w.permits.in_use() == 1);
    CHECK(w.next() == ids{1});
}

TEST_CASE("scheduler: a failed download costs its own waiters only", "[scheduler][adapter]") {
    scheduler_world w;
    w.failing["bad"] = "no such adapter";
    w.submit({"bad"});
    w.submit({"good"});
    w.run_calls();
    REQUIRE(w.sinks[0]->failure);
    CHECK(w.sinks[0]->failure->detail == "no such adapter");
    CHECK_FALSE(w.sinks[1]->failure);
    CHECK(w.next() == ids{1});
    CHECK(w.permits.in_use() == 1);
}

TEST_CASE("scheduler: an unproven token waits, others do not", "[scheduler][adapter]") {
    scheduler_world w;
    w.submit({"private", 10, 10, "mine", adapter::source::hub});
    w.run_calls();
    CHECK(w.next() == ids{0});
    w.submit({"private", 10, 10, "theirs", adapter::source::hub});
    w.submit({"private", 10, 10, "mine", adapter::source::hub});
    CHECK(w.next() == ids{2});
    const auto calls = w.state.due(w.now, 64);
    REQUIRE(calls.size() == 1);
    CHECK(calls[0].kind == adapter::call_kind::download);
    CHECK(calls[0].api_token == "theirs");
    w.state.finished(calls[0].id, error{errc::rpc_failed, "forbidden"}, w.now);
    w.drain();
    REQUIRE(w.sinks[1]->failure);
    CHECK(w.sinks[1]->failure->detail == "forbidden");
    CHECK(w.state.waiting() == 0);
}

TEST_CASE(
    "scheduler: a lost shard's adapters are loaded again before use", "[scheduler][adapter]") {
    scheduler_world w;
    w.submit({"a"});
    w.run_calls();
    w.next();
    w.end_all();
    w.submit({"a"});
    w.state.shards_changed(scheduler_world::limits(1000, 4000), w.now);
    CHECK(w.next().empty());
    w.made.clear();
    w.run_calls();
    CHECK(w.made.size() >= 2);
    CHECK(w.next() == ids{1});
}
