#include "support/scheduler_world.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace truffula;
using namespace std::chrono_literals;
using ids = std::vector<scheduler::request_id>;
using inference::task;
using test::asked;
using test::scheduler_world;

namespace {

asked embed(const std::string& adapter = "", std::uint32_t input = 10) {
    asked a{adapter, input, 1};
    a.kind = task::embed;
    return a;
}

asked classify(std::uint32_t input = 10) {
    asked a{"", input, 1};
    a.kind = task::classify;
    return a;
}

}  // namespace

TEST_CASE("pooled: the three tasks never share a batch", "[scheduler]") {
    scheduler_world w;
    w.submit({});
    w.submit(classify());
    w.submit(embed());
    w.submit({});
    w.submit(classify());
    w.submit(embed());
    CHECK(w.next() == ids{0, 3});
    CHECK(w.next_pooled() == ids{1, 4});
    CHECK(w.next_pooled() == ids{2, 5});
    CHECK(w.next_pooled().empty());
}

TEST_CASE("pooled: they leave in arrival order, over all ready adapters", "[scheduler]") {
    scheduler_world w;
    w.submit(embed("a"));
    w.submit(embed());
    w.submit(embed("b"));
    w.submit(embed("a"));
    CHECK(w.next_pooled() == ids{1});  // the adapters are not there yet
    w.end_all();
    w.run_calls();
    CHECK(w.next_pooled() == ids{0, 2, 3});
    CHECK(w.running[0].adapter_index != w.running[1].adapter_index);
    CHECK(w.running[0].adapter_index == w.running[2].adapter_index);
}

TEST_CASE(
    "pooled: the prefill budget ends a batch exactly, the total one does not", "[scheduler]") {
    scheduler_world w{scheduler_world::limits(1000, 500)};
    w.submit(embed("", 600));
    w.submit(embed("", 400));
    w.submit(embed("", 1));
    CHECK(w.next_pooled(1000) == ids{0, 1});
    CHECK(w.state.running_cost().size() == 0);
    CHECK(w.next_pooled(1000) == ids{2});
    const auto misfit = w.submit(embed("", 1001));
    REQUIRE(w.sinks[misfit]->failure);
    CHECK(w.sinks[misfit]->failure->detail.find("1001") != std::string::npos);
    const auto generating = w.submit({"", 499, 2});
    CHECK(w.sinks[generating]->failure);
}

TEST_CASE("pooled: padded shards pay for the longest prompt of the batch", "[scheduler]") {
    auto l = scheduler_world::limits(1000, 4000);
    l.model = scheduler::cost_model::padded;
    scheduler_world w{l};
    w.submit(embed("", 10));
    w.submit(embed("", 100));
    CHECK(w.next_pooled(199) == ids{0});
    w.submit(embed("", 10));
    CHECK(w.next_pooled(200) == ids{1, 2});
}

TEST_CASE("pooled: the most requests of a batch is kept", "[scheduler]") {
    scheduler::scheduler_settings s;
    s.max_batch_size = 2;
    scheduler_world w{scheduler_world::limits(), s};
    for (int i = 0; i < 3; ++i) w.submit(embed());
    CHECK(w.next_pooled() == ids{0, 1});
    CHECK(w.next_pooled() == ids{2});
}

TEST_CASE("pooled: a client that left takes its request along", "[scheduler]") {
    scheduler_world w;
    w.submit(embed());
    w.submit(embed());
    CHECK(w.state.cancel(0));
    CHECK_FALSE(w.state.cancel(0));
    CHECK(w.state.waiting() == 1);
    CHECK(w.next_pooled() == ids{1});
    CHECK(w.state.waiting() == 0);
}

TEST_CASE("pooled: what was not sent goes back to its place", "[scheduler]") {
    scheduler_world w;
    w.submit(embed());
    w.submit(embed());
    REQUIRE(w.next_pooled() == ids{0, 1});
    std::vector<scheduler::entry> back;
    for (auto& r : w.running) back.push_back(std::move(r.what));
    w.running.clear();
    w.submit(embed());
    w.state.give_back(std::move(back), w.now);
    CHECK(w.state.running() == 0);
    CHECK(w.next_pooled() == ids{0, 1, 2});
}

TEST_CASE("pooled: an adapter that fails takes its requests along", "[scheduler]") {
    scheduler_world w;
    w.failing["bad"] = "no such adapter";
    w.submit(embed("bad"));
    w.submit(embed());
    w.run_calls();
    REQUIRE(w.sinks[0]->failure);
    CHECK(w.sinks[0]->failure->detail.find("no such adapter") != std::string::npos);
    CHECK(w.next_pooled() == ids{1});
}

TEST_CASE(
    "pooled: shards with smaller budgets refuse what waits and no longer fits", "[scheduler]") {
    scheduler_world w;
    w.submit(embed("", 500));
    w.submit(embed("", 100));
    w.state.shards_changed(scheduler_world::limits(100, 4000), w.now);
    w.drain();
    CHECK(w.sinks[0]->failure);
    CHECK(w.next_pooled() == ids{1});
}

TEST_CASE("pooled: an adapter in their batch is not offloaded", "[scheduler]") {
    scheduler::scheduler_settings s;
    s.adapters.max_active_adapters = 1;
    scheduler_world w{scheduler_world::limits(), s};
    w.submit(embed("a"));
    w.run_calls();
    REQUIRE(w.next_pooled() == ids{0});
    w.submit(embed("b"));
    w.now += 1h;
    w.run_calls();
    const auto offloads = [&] {
        return std::count_if(w.made.begin(), w.made.end(), [](const auto& c) {
            return c.kind == adapter::call_kind::offload;
        });
    };
    CHECK(offloads() == 0);
    w.end_all();
    w.next_pooled();
    w.run_calls();
    CHECK(offloads() == 1);
    CHECK(w.next_pooled() == ids{1});
}

TEST_CASE("pooled: paged shards give them blocks of their own", "[scheduler]") {
    auto l = scheduler_world::limits(1000, 160);
    l.model = scheduler::cost_model::blocks;
    l.block_size = 16;  // 10 blocks, one of them reserved
    scheduler_world w{l};
    w.submit({"", 64, 17});  // 80 slots: 5 blocks
    REQUIRE(w.next() == ids{0});
    w.submit(embed("", 80));  // 5 blocks: one too many
    w.submit({"", 16, 1});    // 1 block
    CHECK(w.next_pooled().empty());
    SECTION("joins go on for a while") {
        CHECK(w.next() == ids{2});
    }
    SECTION("then nothing joins until it got them") {
        w.now += 2s;
        CHECK(w.next_pooled().empty());
        CHECK(w.next().empty());
        w.end(0);
        CHECK(w.state.runnable());
        CHECK(w.next_pooled() == ids{1});
        REQUIRE(w.running.back().blocks);
        CHECK(w.running.back().blocks->blocks().size() == 5);
        CHECK(w.next() == ids{2});
    }
    SECTION("unless its client left") {
        w.now += 2s;
        w.state.cancel(1);
        CHECK(w.next() == ids{2});
    }
}

TEST_CASE("pooled: every request leaves once, or fails, in any order of events", "[scheduler]") {
    const auto seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random{seed};
    const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    auto l = scheduler_world::limits(200, 400);
    if (pick(2) == 0) {
        l.model = scheduler::cost_model::blocks;
        l.block_size = 16;
    }
    scheduler::scheduler_settings s;
    s.adapters.max_active_adapters = 2;
    scheduler_world w{l, s};
    std::map<scheduler::request_id, int> left;
    std::map<scheduler::request_id, task> kinds;
    const auto note = [&](const ids& batch) {
        for (const auto id : batch) {
            ++left[id];
            CHECK(kinds[id] == kinds[batch.front()]);
        }
    };
    for (int i = 0; i < 2000; ++i) {
        w.now += 100ms;
        const std::string adapter(static_cast<std::size_t>(pick(4)), 'x');
        switch (pick(7)) {
            case 0:
            case 1: {
                asked a{adapter, static_cast<std::uint32_t>(1 + pick(100)), 1};
                a.kind = static_cast<task>(pick(3));
                kinds[w.next_id] = a.kind;
                w.submit(a);
                break;
            }
            case 2: w.run_calls(); break;
            case 3: note(w.next(std::nullopt, 200, 400)); break;
            case 4: {
                const auto before = w.running.size();
                note(w.next_pooled(200));
                w.running.erase(
                    w.running.begin() + static_cast<std::ptrdiff_t>(before), w.running.end());
                break;
            }
            case 5: w.end_all(); break;
            default: {
                const auto id =
                    static_cast<scheduler::request_id>(pick(1 + static_cast<int>(w.next_id)));
                if (w.state.cancel(id)) ++left[id];
            }
        }
    }
    for (int i = 0; i < 3000 && w.state.waiting() > 0; ++i) {
        w.now += 1s;
        w.end_all();
        w.run_calls();
        note(w.next(std::nullopt, 200, 400));
        w.end_all();
        note(w.next_pooled(200));
        w.running.clear();
    }
    CHECK(w.state.waiting() == 0);
    for (const auto& [id, kind] : kinds) {
        const int ends = left[id] + (w.sinks[id]->failure ? 1 : 0);
        CHECK(ends == 1);
    }
}
