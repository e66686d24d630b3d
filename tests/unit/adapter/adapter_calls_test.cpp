// Which calls the adapter table asks for at once, in which order, and which not.
#include "unit/adapter/table_driver.hpp"

#include <catch2/catch.hpp>

using namespace truffula;
using namespace std::chrono_literals;
using adapter::adapter_state;
using adapter::call_kind;
using test::named;
using test::table_driver;

TEST_CASE("adapter table: downloads and loads are single-flight per adapter", "[adapter]") {
    table_driver d;
    for (int i = 0; i < 5; ++i) d.wait_for(named("a"));
    const auto download = d.only_due();
    d.wait_for(named("a"));
    CHECK(d.due().empty());
    d.succeed(download);
    const auto load = d.only_due();
    d.wait_for(named("a"));
    CHECK(d.due().empty());
    d.succeed(load);
    CHECK(d.due().empty());
}

TEST_CASE("adapter table: so many downloads and loads run side by side", "[adapter]") {
    adapter::table_settings s;
    s.download_concurrency = 3;
    s.load_concurrency = 2;
    table_driver d{s};
    for (const auto* id : {"a", "b", "c", "d", "e"}) d.wait_for(named(id));
    const auto downloads = d.due();
    REQUIRE(downloads.size() == 3);
    CHECK(downloads[0].what.ids[0] == "a");
    for (const auto& c : downloads) d.succeed(c);
    const auto calls = d.due();
    REQUIRE(calls.size() == 4);
    CHECK(std::ranges::count(calls, call_kind::load, &adapter::call::kind) == 2);
    CHECK(std::ranges::count(calls, call_kind::download, &adapter::call::kind) == 2);
}

TEST_CASE("adapter table: not more calls than asked for", "[adapter]") {
    table_driver d;
    for (const auto* id : {"a", "b", "c"}) d.wait_for(named(id));
    CHECK(d.due(1).size() == 1);
    CHECK(d.due(1).size() == 1);
    CHECK(d.due(0).empty());
    CHECK(d.due().size() == 1);
}

TEST_CASE("adapter table: failures are remembered for a time that doubles", "[adapter]") {
    table_driver d;
    auto backoff = 5s;
    for (int i = 0; i < 8; ++i) {
        const auto key = d.wait_for(named("a"));
        d.fail(d.only_due(), "gone");
        REQUIRE(d.said.failed.size() + d.said.refused.size() == 1);
        d.nobody_waits_for(key);
        d.now += backoff - 1ms;
        REQUIRE(d.table.join(named("a"), d.now).error().detail == "gone");
        CHECK(d.due().empty());
        d.now += 1ms;
        REQUIRE(d.table.join(named("a"), d.now).has_value());
        backoff = std::min(backoff * 2, 300s);
    }
    CHECK(backoff == 300s);
    d.wait_for(named("a"));
    d.succeed(d.only_due());  // and forgotten when it works
    d.fail(d.only_due());
    d.nobody_waits_for(d.last.key);
    CHECK_FALSE(d.table.join(named("a"), d.now).has_value());
    d.now += 5s;
    CHECK(d.table.join(named("a"), d.now).has_value());
}

TEST_CASE("adapter table: downloads that wait are capped per tenant", "[adapter]") {
    adapter::table_settings s;
    s.max_downloads_per_tenant = 2;
    table_driver d{s};
    auto ref = named("a");
    ref.tenant = "red";
    d.wait_for(ref);
    ref.what.ids = {"b"};
    d.wait_for(ref);
    ref.what.ids = {"c"};
    const auto third = d.table.join(ref, d.now);
    REQUIRE_FALSE(third.has_value());
    CHECK(third.error().code == errc::overloaded);
    CHECK(third.error().detail.find("limit 2") != std::string::npos);
    ref.what.ids = {"a"};
    CHECK(d.table.join(ref, d.now).has_value());  // is waited for already
    ref.what.ids = {"c"};
    ref.tenant = "blue";
    CHECK(d.table.join(ref, d.now).has_value());
    ref.tenant = "red";
    ref.what.ids = {"d"};
    d.succeed(d.due().front());
    CHECK(d.table.join(ref, d.now).has_value());
}

TEST_CASE("adapter table: who was told to leave first is taken off first", "[adapter]") {
    adapter::table_settings s;
    s.max_active_adapters = 2;
    table_driver d{s};
    const auto known_first = d.wait_for(named("known first"));
    d.nobody_waits_for(known_first);
    const auto sooner = d.make_ready("sooner");
    d.now += 100ms;
    REQUIRE(d.make_ready("known first") == known_first);
    d.run(sooner);
    d.run(known_first);
    for (const auto* id : {"next", "and next"}) d.wait_for(named(id));
    for (const auto& c : d.due()) d.succeed(c);
    d.now += 1900ms;
    d.due();
    REQUIRE(d.said.no_longer_ready == std::vector{sooner});
    d.now += 100ms;
    d.due();
    REQUIRE(d.said.no_longer_ready == std::vector{known_first});
    for (const auto key : {sooner, known_first}) d.table.set_running(key, 0, d.now);
    // Where calls are short the other would wait for ever behind ever new ones.
    CHECK(d.due(1).front().key == sooner);
    CHECK(d.due(1).front().key == known_first);
}

TEST_CASE("adapter table: loads go before downloads, but not for ever", "[adapter]") {
    table_driver d;
    const auto wanted = d.wait_for(named("to be loaded"));
    d.succeed(d.only_due());
    d.wait_for(named("to be downloaded"));
    auto waits = GENERATE(0ms, 7999ms, 8000ms);
    d.now += waits;
    const auto first = d.due(1).front();
    CHECK((first.kind == call_kind::load) == (waits < 8s));
    CHECK((first.key == wanted) == (waits < 8s));
}

TEST_CASE("adapter table: a tenant's downloads hold up those of others by one each", "[adapter]") {
    adapter::table_settings s;
    s.download_concurrency = 1;
    table_driver d{s};
    auto ref = named("");
    const auto ask = [&](const char* tenant, std::string id) {
        ref.tenant = tenant;
        ref.what.ids = {std::move(id)};
        d.wait_for(ref);
        d.now += 1ms;
    };
    for (int i = 0; i < 20; ++i) ask("red", "red" + std::to_string(i));
    std::vector<std::string> order;
    const auto serve_one = [&] {
        for (const auto& c : d.due()) {
            if (c.kind == call_kind::download) order.push_back(c.what.ids.front());
            d.succeed(c);
        }
    };
    while (order.size() < 5) serve_one();
    ask("blue", "blue0");
    ask("blue", "blue1");
    ask("green", "green0");
    while (order.size() < 11) serve_one();
    order.erase(order.begin(), order.begin() + 5);
    CHECK(order == std::vector<std::string>{"blue0", "green0", "red5", "blue1", "red6", "red7"});
}

TEST_CASE("adapter table: a download that nobody waits for is not started", "[adapter]") {
    table_driver d;
    const auto key = d.wait_for(named("a"));
    d.nobody_waits_for(key);
    CHECK(d.due().empty());
    d.wait_for(named("a"));
    const auto download = d.only_due();
    d.nobody_waits_for(key);
    d.succeed(download);
    CHECK(d.due().empty());  // nor loaded
    CHECK(d.table.state(key) == adapter_state::downloaded);
}
