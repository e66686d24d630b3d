// What is on the shards though the table did not put it there, and what is no longer.
#include "unit/adapter/table_driver.hpp"

#include <catch2/catch.hpp>

using namespace truffula;
using namespace std::chrono_literals;
using adapter::adapter_state;
using adapter::call_kind;
using test::named;
using test::table_driver;
using test::with_slots;
using keys = std::vector<adapter::adapter_key>;

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
