// The way of an adapter from unknown to ready, and what is remembered of it (design section 6).
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

namespace {

std::string shown(const table_driver& d, std::size_t most = 10) {
    std::string text;
    for (const auto& a : d.table.known(most)) {
        text += a.ids[0] + "=" + std::string{state_name(a.state)} + (a.is_usable ? " " : "? ");
    }
    return text;
}

}  // namespace

TEST_CASE("adapter table: which adapters are usable, and what state is shown", "[adapter]") {
    table_driver d{{}, {{named("preloaded").what, 1}}};
    CHECK(shown(d) == "preloaded=ready ");
    const auto key = d.wait_for(named("a"));
    CHECK(shown(d) == "preloaded=ready a=unknown? ");
    auto call = d.only_due();
    CHECK(shown(d) == "preloaded=ready a=downloading? ");
    d.fail(call);
    CHECK(shown(d) == "preloaded=ready a=failed? ");
    CHECK(d.table.count_by_state().back() == 1);
    d.nobody_waits_for(key);
    d.now += 5s;
    d.wait_for(named("a"));
    d.succeed(d.only_due());
    CHECK(shown(d) == "preloaded=ready a=downloaded ");
    d.fail(d.only_due());  // its load; the offload that follows is no sign of life
    CHECK(shown(d) == "preloaded=ready a=draining? ");
    d.succeed(d.only_due());
    CHECK(shown(d) == "preloaded=ready a=failed? ");
    d.nobody_waits_for(key);
    d.now += 5s;
    d.wait_for(named("a"));
    CHECK(shown(d) == "preloaded=ready a=downloaded? ");
    d.settle();
    CHECK(shown(d) == "preloaded=ready a=ready ");
    SECTION("shards that were lost had it, until they no longer find it") {
        d.table.shards_lost({}, false, d.now, d.said);
        CHECK(shown(d) == "a=unknown ");
        d.fail(d.only_due());
        CHECK(shown(d) == "a=failed? ");
    }
    SECTION("the usable ones go first where not all are shown") {
        const auto other = d.wait_for(named("b"));
        d.fail(d.only_due());
        d.nobody_waits_for(other);
        d.make_ready("c");
        CHECK(shown(d, 1) == "preloaded=ready ");
        CHECK(shown(d, 3) == "preloaded=ready a=ready c=ready ");
        CHECK(shown(d) == "preloaded=ready a=ready c=ready b=failed? ");
    }
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
