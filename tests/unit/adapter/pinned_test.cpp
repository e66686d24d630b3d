// Adapters that are loaded before anybody asks.
#include "unit/adapter/table_driver.hpp"

#include <catch2/catch.hpp>

using namespace truffula;
using namespace std::chrono_literals;
using adapter::call_kind;
using test::named;
using test::table_driver;
using test::with_slots;
using keys = std::vector<adapter::adapter_key>;

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

TEST_CASE("adapter table: a pinned one comes back before those that are asked for", "[adapter]") {
    auto settings = with_slots(2);
    settings.pinned = {named("pinned")};
    table_driver d{settings};
    d.settle();
    const auto pinned = d.wait_for(named("pinned"));
    d.run(pinned);
    for (const auto* id : {"a", "b"}) d.wait_for(named(id));
    adapter::changes said;
    d.table.shards_lost({}, false, d.now, said);
    const auto downloads = d.due();
    REQUIRE(downloads.size() == 3);
    for (const auto& c : downloads) d.succeed(c);
    const auto loads = d.due();
    REQUIRE(loads.size() == 2);
    CHECK(loads.front().what.ids.front() == "pinned");
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
