// Where adapters are, and which calls are due (design section 6).
#include "unit/adapter/table_driver.hpp"

#include <catch2/catch.hpp>

using namespace truffula;
using namespace std::chrono_literals;
using adapter::adapter_state;
using adapter::call_kind;
using test::named;
using test::table_driver;
using keys = std::vector<adapter::adapter_key>;

namespace {

adapter::table_settings with_slots(std::size_t slots) {
    adapter::table_settings s;
    s.max_active_adapters = slots;
    return s;
}

}  // namespace

TEST_CASE("adapter table: from unknown to ready, with the calls of the way", "[adapter]") {
    table_driver d;
    const auto key = d.wait_for(named("a"));
    CHECK(d.table.state(key) == adapter_state::unknown);
    const auto download = d.only_due();
    CHECK(download.kind == call_kind::download);
    CHECK(download.timeout == 600s);
    CHECK(d.table.state(key) == adapter_state::downloading);
    CHECK(d.due().empty());
    d.succeed(download, 250'000);
    CHECK(d.table.state(key) == adapter_state::downloaded);
    const auto load = d.only_due();
    CHECK(load.kind == call_kind::load);
    CHECK(load.timeout == 120s);
    CHECK(d.table.state(key) == adapter_state::loading);
    CHECK(d.table.free_memory() == 750'000);
    CHECK(d.table.active() == 1);
    d.succeed(load);
    CHECK(d.said.became_ready == keys{key});
    CHECK(d.table.ready_since(key) == d.now);
}

TEST_CASE("adapter table: one that exceeds the whole memory fails its waiters", "[adapter]") {
    table_driver d;
    const auto key = d.wait_for(named("huge"));
    const auto download = d.only_due();
    SECTION("by a millionth") {
        d.succeed(download, adapter::whole_memory + 1);
        REQUIRE(d.said.failed.size() == 1);
        CHECK(d.said.failed[0].key == key);
        CHECK(d.said.failed[0].why.detail.find("adapter memory") != std::string::npos);
        CHECK(d.table.free_memory() == adapter::whole_memory);
        d.nobody_waits_for(key);
        d.now += 5s;  // after the back-off it is asked for again, it blocks nobody
        d.wait_for(named("huge"));
        const auto again = d.only_due();
        CHECK(again.kind == call_kind::download);
        d.succeed(again, 1000);
        d.settle();
        CHECK(d.table.is_ready(key));
    }
    SECTION("or fits exactly") {
        d.succeed(download, adapter::whole_memory);
        CHECK(d.only_due().kind == call_kind::load);
        CHECK(d.table.free_memory() == 0);
    }
}

TEST_CASE("adapter table: nobody goes while there is room", "[adapter]") {
    table_driver d{with_slots(2)};
    const auto first = d.make_ready("a", 500'000);
    d.now += 1h;
    const auto second = d.make_ready("b", 500'000);
    CHECK(d.table.is_ready(first));
    CHECK(d.table.is_ready(second));
}

TEST_CASE("adapter table: memory that is short drives out as slots do", "[adapter]") {
    table_driver d{with_slots(10)};
    const auto first = d.make_ready("a", 500'000);
    const auto second = d.make_ready("b", 500'000);
    d.wait_for(named("c"));
    d.succeed(d.only_due(), 1);
    CHECK(d.only_due().kind == call_kind::offload);
    CHECK_FALSE(d.table.is_ready(first));
    CHECK(d.table.is_ready(second));
}

TEST_CASE("adapter table: idle ones go first, the least worth keeping of them", "[adapter]") {
    table_driver d{with_slots(4)};
    const auto busy = d.make_ready("busy");
    const auto often = d.make_ready("often");
    for (int i = 0; i < 3; ++i) d.nobody_waits_for(d.wait_for(named("often")));
    const auto once = d.make_ready("once");
    d.now += 10s;
    const auto later = d.make_ready("later");
    d.now += 1h;  // all are past their cycle time
    d.table.set_running(busy, 1, d.now);
    d.wait_for(named("next"));
    d.wait_for(named("next but one"));
    for (const auto& c : d.due()) d.succeed(c);
    d.due();
    CHECK(d.said.no_longer_ready == keys{once, later});
    CHECK(d.table.is_ready(busy));
    CHECK(d.table.is_ready(often));
}

TEST_CASE("adapter table: of two asked for alike, the one quick to load goes", "[adapter]") {
    table_driver d{with_slots(2)};
    const auto slow = d.wait_for(named("slow"));
    const auto quick = d.wait_for(named("quick"));
    for (const auto& c : d.due()) d.succeed(c);
    const auto loads = d.due();
    REQUIRE(loads.size() == 2);
    REQUIRE(loads[1].key == quick);
    d.now += 10ms;
    d.succeed(loads[1]);
    d.now += 1s;
    d.succeed(loads[0]);
    for (const auto key : {slow, quick}) {
        d.table.served(key);
        d.nobody_waits_for(key);
    }
    d.wait_for(named("next"));
    d.succeed(d.only_due());
    d.due();
    CHECK_FALSE(d.table.is_ready(quick));
    CHECK(d.table.is_ready(slow));
}

TEST_CASE("adapter table: a pinned one is loaded before anybody asks, and stays", "[adapter]") {
    auto settings = with_slots(2);
    settings.pinned = {named("pinned")};
    table_driver d{settings};
    const auto download = d.only_due();
    CHECK(download.what.ids.front() == "pinned");
    d.succeed(download);
    const auto load = d.only_due();
    CHECK(load.kind == call_kind::load);
    d.succeed(load);
    CHECK(d.due().empty());
    const auto pinned = d.wait_for(named("pinned"));
    CHECK(d.table.is_ready(pinned));
    d.run(pinned);
    d.table.set_running(pinned, 0, d.now);

    const auto other = d.make_ready("other");
    d.run(other);
    d.now += 1h;
    d.wait_for(named("next"));
    d.succeed(d.only_due());
    d.now += 1s;
    d.due();
    CHECK(d.said.no_longer_ready == keys{other});
    CHECK(d.table.is_ready(pinned));
}

TEST_CASE("adapter table: a pinned one comes back when the shards were lost", "[adapter]") {
    auto settings = with_slots(2);
    settings.pinned = {named("pinned")};
    table_driver d{settings};
    d.settle();
    adapter::changes said;
    d.table.shards_lost({}, false, d.now, said);
    CHECK(d.only_due().what.ids.front() == "pinned");
}

TEST_CASE("adapter table: a pinned one that cannot be had is not asked for again", "[adapter]") {
    auto settings = with_slots(2);
    settings.pinned = {named("pinned")};
    table_driver d{settings};
    d.fail(d.only_due(), "no such adapter");
    d.now += 1h;
    CHECK(d.due().empty());
    d.wait_for(named("pinned"));
    CHECK(d.only_due().kind == call_kind::download);
}

TEST_CASE("adapter table: a busy one goes only for who has waited a while", "[adapter]") {
    table_driver d{with_slots(1)};
    const auto busy = d.make_ready("busy");
    d.run(busy);
    d.now += 1h;
    d.wait_for(named("next"));
    d.succeed(d.only_due());
    CHECK(d.due().empty());
    CHECK(d.table.next_deadline(d.now) == d.now + 750ms);
    d.now += 749ms;
    d.due();
    CHECK(d.table.is_ready(busy));
    d.now += 1ms;
    d.due();
    CHECK_FALSE(d.table.is_ready(busy));
}

TEST_CASE("adapter table: a drain starts ahead by what drains take", "[adapter]") {
    table_driver d{with_slots(1)};
    const auto first = d.make_ready("first");
    d.run(first);
    const auto second = d.wait_for(named("second"));
    d.succeed(d.only_due());
    d.now += 2s;
    d.due();
    REQUIRE(d.table.state(first) == adapter_state::draining);
    d.now += 300ms;
    d.table.set_running(first, 0, d.now);
    d.settle();
    REQUIRE(d.table.is_ready(second));
    const auto ready = d.now;
    d.run(second);
    d.wait_for(named("third"));
    d.succeed(d.only_due());
    d.due();
    CHECK(d.table.next_deadline(d.now) == ready + 2s - 600ms);
    // Never by more than half of the cycle time.
    d.now = ready + 1400ms;
    d.due();
    d.now += 1h;
    d.table.set_running(second, 0, d.now);
    d.settle();
    const auto third_ready = d.now;
    d.run(d.wait_for(named("third")));
    d.wait_for(named("fourth"));
    d.succeed(d.only_due());
    d.due();
    CHECK(d.table.next_deadline(d.now) == third_ready + 1s);
}

TEST_CASE("adapter table: a busy one goes after its cycle time, drained first", "[adapter]") {
    table_driver d{with_slots(1)};
    const auto busy = d.make_ready("busy");
    d.run(busy);
    d.wait_for(named("next"));
    d.succeed(d.only_due());
    CHECK(d.due().empty());
    REQUIRE(d.table.next_deadline(d.now) == d.now + 2s);
    d.now += 1999ms;
    CHECK(d.due().empty());
    CHECK(d.table.is_ready(busy));
    d.now += 1ms;
    CHECK(d.due().empty());  // it drains: no call while a batch names it
    CHECK(d.said.no_longer_ready == keys{busy});
    CHECK(d.table.state(busy) == adapter_state::draining);
    d.table.set_running(busy, 0, d.now);
    const auto offload = d.only_due();
    CHECK(offload.kind == call_kind::offload);
    CHECK(offload.key == busy);
    CHECK(offload.api_token.empty());
    CHECK(d.due().empty());  // its slot is taken until the shards have let go
    d.succeed(offload);
    CHECK(d.table.state(busy) == adapter_state::downloaded);
    CHECK(d.only_due().kind == call_kind::load);
}

TEST_CASE("adapter table: one with waiters stays until it has served one", "[adapter]") {
    table_driver d{with_slots(1)};
    const auto first = d.wait_for(named("first"));
    d.settle();
    d.wait_for(named("next"));
    d.succeed(d.only_due());
    d.now += 1h;
    CHECK(d.due().empty());
    CHECK(d.table.is_ready(first));
    d.table.served(first);
    CHECK(d.only_due().kind == call_kind::offload);
}

TEST_CASE("adapter table: a draining one is ready again when nobody needs its slot", "[adapter]") {
    table_driver d{with_slots(1)};
    const auto busy = d.make_ready("busy");
    d.run(busy);
    d.now += 3s;
    const auto next = d.wait_for(named("next"));
    d.succeed(d.only_due());
    d.now += 1s;
    d.due();
    REQUIRE(d.table.state(busy) == adapter_state::draining);
    d.nobody_waits_for(next);
    CHECK(d.due().empty());
    CHECK(d.said.became_ready == keys{busy});
    CHECK(d.table.is_ready(busy));
}

TEST_CASE("adapter table: a freed slot is for the one that waits longest", "[adapter]") {
    table_driver d{with_slots(1)};
    const auto busy = d.make_ready("busy", 900'000);
    d.run(busy);
    const auto large = d.wait_for(named("large"));
    d.succeed(d.only_due(), 800'000);
    d.now += 3s;
    const auto small = d.wait_for(named("small"));
    d.succeed(d.only_due(), 1);
    d.table.set_running(busy, 0, d.now);
    d.succeed(d.only_due());  // the offload
    const auto load = d.only_due();
    CHECK(load.key == large);
    CHECK(d.table.state(small) == adapter_state::downloaded);
}

TEST_CASE(
    "adapter table: a failed load is taken off all shards before its slot goes on", "[adapter]") {
    table_driver d{with_slots(1)};
    const auto key = d.wait_for(named("a"));
    d.succeed(d.only_due(), 600'000);
    d.fail(d.only_due(), "out of memory");
    REQUIRE(d.said.failed.size() == 1);
    CHECK(d.said.failed[0].why.detail == "out of memory");
    d.nobody_waits_for(key);
    CHECK(d.table.free_memory() == 400'000);
    // Refused at once, not only when the offload has been answered.
    CHECK(d.table.join(named("a"), d.now).error().detail == "out of memory");
    const auto offload = d.only_due();
    CHECK(offload.kind == call_kind::offload);
    d.succeed(offload);
    CHECK(d.table.state(key) == adapter_state::failed);
    CHECK(d.table.free_memory() == adapter::whole_memory);
    CHECK(d.table.active() == 0);
}

TEST_CASE("adapter table: an index whose offload failed is not used again", "[adapter]") {
    table_driver d{with_slots(1)};
    const auto first = d.make_ready("a");
    const auto index = d.table.index(first);
    d.wait_for(named("b"));
    d.succeed(d.only_due());
    d.fail(d.only_due());
    CHECK(d.table.index(first) != index);
    CHECK(d.only_due().index != index);
}

TEST_CASE("adapter table: what an earlier router may have left is offloaded first", "[adapter]") {
    table_driver d{{}, {}, true};
    const auto key = d.wait_for(named("a"));
    d.succeed(d.only_due());
    const auto cleaning = d.only_due();
    CHECK(cleaning.kind == call_kind::offload);
    CHECK(cleaning.index == d.table.index(key));
    SECTION("then loaded") {
        d.succeed(cleaning);
        const auto load = d.only_due();
        CHECK(load.kind == call_kind::load);
        CHECK(load.index == cleaning.index);
    }
    SECTION("or refused for a while, never loaded over it") {
        d.fail(cleaning, "busy");
        REQUIRE(d.said.failed.size() == 1);
        d.nobody_waits_for(key);
        CHECK(d.due().empty());
        d.now += 5s;
        d.wait_for(named("a"));
        const auto again = d.only_due();
        CHECK(again.kind == call_kind::offload);
        CHECK(again.index != cleaning.index);
    }
}

TEST_CASE("adapter table: lost shards hold nothing any more", "[adapter]") {
    table_driver d;
    const auto key = d.make_ready("a", 300'000);
    d.table.set_running(key, 1, d.now);
    d.wait_for(named("b"));
    const auto open = d.only_due();
    d.said = {};
    d.table.shards_lost({}, false, d.now, d.said);
    CHECK(d.said.no_longer_ready == keys{key});
    CHECK(d.table.free_memory() == adapter::whole_memory);
    CHECK(d.table.active() == 0);
    d.succeed(open);  // of before: says nothing
    CHECK(d.said.empty());
    CHECK(d.only_due().what.ids[0] == "b");  // asked for again; "a" has no waiters
    d.wait_for(named("a"));
    CHECK(d.only_due().kind == call_kind::download);
}

TEST_CASE("adapter table: shards may come back with other preloaded adapters", "[adapter]") {
    table_driver d{{}, {{named("p").what, 1}, {named("q").what, 2}}};
    const auto p = d.wait_for(named("p"));
    const auto q = d.wait_for(named("q"));
    const auto own = d.make_ready("own");
    REQUIRE(d.table.index(own) == 3);
    const std::vector<adapter::adapter_table::preloaded_adapter> now_preloaded{
        {named("p").what, 2}, {named("r").what, 3}};
    d.said = {};
    d.table.shards_lost(now_preloaded, false, d.now, d.said);
    CHECK(d.table.is_ready(p));
    CHECK(d.table.index(p) == 2);
    REQUIRE(d.said.failed.size() == 1);
    CHECK(d.said.failed[0].key == q);
    const auto r = d.wait_for(named("r"));
    CHECK(d.table.is_ready(r));
    CHECK(d.table.index(r) == 3);
    CHECK(d.table.index(own) > 3);  // theirs now
    CHECK(d.wait_for(named("p")) == p);
}

TEST_CASE("adapter table: at most so many are known that nobody uses", "[adapter]") {
    adapter::table_settings s;
    s.max_known_adapters = 2;
    table_driver d{s};
    const auto resident = d.make_ready("resident");
    keys idle;
    for (const auto* id : {"a", "b", "c"}) {
        d.now += 1s;
        idle.push_back(d.wait_for(named(id)));
        d.nobody_waits_for(idle.back());
    }
    d.due();
    REQUIRE(d.said.forgotten.size() == 1);
    CHECK(d.said.forgotten[0].first == idle[0]);  // the least recently used
    CHECK(d.table.is_ready(resident));
    CHECK(d.wait_for(named("resident")) == resident);
    CHECK(d.table.index(d.wait_for(named("d"))) == d.said.forgotten[0].second);
}

TEST_CASE("adapter table: adapters are loaded in the order of their waiters' ranks", "[adapter]") {
    table_driver d{with_slots(1)};
    const auto later = d.wait_for(named("later"));
    const auto sooner = d.wait_for(named("sooner"));
    d.table.set_waiting(later, 1, d.now, 20.0);
    d.table.set_waiting(sooner, 1, d.now, 10.0);
    for (const auto& c : d.due()) d.succeed(c);
    CHECK(d.only_due().key == sooner);
}
