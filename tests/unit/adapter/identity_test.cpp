// Which requests mean the same adapter, and who may use it (design section 6).
#include "unit/adapter/table_driver.hpp"

#include <catch2/catch.hpp>

using namespace truffula;
using namespace std::chrono_literals;
using adapter::adapter_state;
using adapter::call_kind;
using adapter::source;
using test::named;
using test::table_driver;

TEST_CASE("adapter table: the base model is always ready and needs no call", "[adapter]") {
    table_driver d;
    const auto joined = d.table.join(adapter::adapter_ref{}, d.now).value();
    CHECK(joined.key == adapter::base_key);
    CHECK(joined.pending == 0);
    CHECK(d.table.is_ready(adapter::base_key));
    CHECK(d.table.index(adapter::base_key) == 0);
    CHECK(d.due().empty());
    CHECK(d.table.active() == 0);
}

TEST_CASE("adapter table: every part of the identity tells adapters apart", "[adapter]") {
    table_driver d;
    adapter::adapter_ref merged;
    merged.what.ids = {"a", "b"};
    merged.what.weights = {0.5F, 0.5F};
    const auto key = d.wait_for(merged);
    CHECK(d.wait_for(merged) == key);
    auto other = merged;
    SECTION("ids") {
        other.what.ids = {"ab", ""};
    }
    SECTION("their order") {
        other.what.ids = {"b", "a"};
    }
    SECTION("weights") {
        other.what.weights = {0.5F, 0.25F};
    }
    SECTION("strategy") {
        other.what.strategy = adapter::merge_strategy::ties;
    }
    SECTION("density") {
        other.what.density = 0.5F;
    }
    SECTION("signs") {
        other.what.signs = adapter::sign_method::frequency;
    }
    SECTION("source") {
        other.from = source::s3;
    }
    CHECK(d.wait_for(other) != key);
}

TEST_CASE("adapter table: the token is part of the identity for pbase only", "[adapter]") {
    table_driver d;
    for (const auto from : {source::hub, source::s3, source::local}) {
        const auto mine = d.wait_for(named("a", from, "mine"));
        CHECK(d.wait_for(named("a", from, "theirs")) == mine);
    }
    const auto mine = d.wait_for(named("a", source::pbase, "mine"));
    CHECK(d.wait_for(named("a", source::pbase, "theirs")) != mine);
}

TEST_CASE("adapter table: preloaded adapters are ready, whoever asks", "[adapter]") {
    table_driver d{{}, {{named("p").what, 7}}};
    for (const auto from : {source::hub, source::pbase, source::local}) {
        const auto key = d.wait_for(named("p", from, "a token"));
        CHECK(d.last.pending == 0);
        CHECK(d.table.is_ready(key));
        CHECK(d.table.index(key) == 7);
        d.run(key);
    }
    CHECK(d.due().empty());
    CHECK(d.table.active() == 0);
    CHECK(d.table.free_memory() == adapter::whole_memory);
    CHECK(d.table.index(d.wait_for(named("x"))) > 7);
}

TEST_CASE("adapter table: each token has to be proven by a download of its own", "[adapter]") {
    table_driver d;
    const auto key = d.wait_for(named("a", source::hub, "mine"));
    const auto mine = d.last.pending;
    REQUIRE(mine != 0);
    const auto first = d.only_due();
    CHECK(first.kind == call_kind::download);
    CHECK(first.api_token == "mine");
    d.succeed(first);
    REQUIRE(d.said.granted.size() == 1);
    CHECK(d.said.granted[0].who == mine);

    d.wait_for(named("a", source::hub, "theirs"));
    const auto theirs = d.last.pending;
    REQUIRE(theirs != 0);
    auto calls = d.due();
    REQUIRE(calls.size() == 2);  // the load for those who may, and the proof
    CHECK(calls[0].kind == call_kind::load);
    CHECK(calls[0].api_token == "mine");
    CHECK(calls[1].api_token == "theirs");
    SECTION("one that is refused costs its own requests only") {
        d.fail(calls[1], "forbidden");
        REQUIRE(d.said.refused.size() == 1);
        CHECK(d.said.refused[0].who == theirs);
        CHECK(d.said.refused[0].why.detail == "forbidden");
        CHECK(d.said.failed.empty());
        d.succeed(calls[0]);
        CHECK(d.table.is_ready(key));
        CHECK(d.table.join(named("a", source::hub, "theirs"), d.now).error().detail == "forbidden");
        CHECK(d.table.join(named("a", source::hub, "mine"), d.now).value().pending == 0);
    }
    SECTION("one that is proven needs no second proof") {
        d.succeed(calls[1]);
        CHECK(d.table.join(named("a", source::hub, "theirs"), d.now).value().pending == 0);
    }
}

TEST_CASE("adapter table: a proof lasts its lifetime", "[adapter]") {
    adapter::table_settings s;
    s.proof_lifetime = 10s;
    table_driver d{s};
    d.wait_for(named("a", source::hub, "mine"));
    d.settle();
    d.now += 9'999ms;
    CHECK(d.table.join(named("a", source::hub, "mine"), d.now).value().pending == 0);
    d.now += 1ms;
    d.wait_for(named("a", source::hub, "mine"));
    CHECK(d.last.pending != 0);
    CHECK(d.only_due().kind == call_kind::download);
}

TEST_CASE("adapter table: s3 and local need no proof", "[adapter]") {
    table_driver d;
    for (const auto from : {source::s3, source::local}) {
        d.wait_for(named("a", from, "mine"));
        d.settle();
        CHECK(d.table.join(named("a", from, "theirs"), d.now).value().pending == 0);
        CHECK(d.due().empty());
    }
}

TEST_CASE("adapter table: those granted are loaded when the last proof has gone", "[adapter]") {
    adapter::table_settings s;
    s.max_active_adapters = 1;
    s.proof_lifetime = 1s;
    table_driver d{s};
    const auto busy = d.make_ready("busy");
    d.table.set_running(busy, 1, d.now);
    const auto key = d.wait_for(named("a", source::hub, "mine"));
    d.succeed(d.only_due());  // granted: it waits for the slot
    d.now += 1s;
    d.wait_for(named("a", source::hub, "mine"));
    d.fail(d.only_due());
    REQUIRE(d.said.refused.size() == 1);
    d.table.set_waiting(key, 1, d.now - 1s);  // the granted one is left
    d.now += 10s;
    d.due();
    d.table.set_running(busy, 0, d.now);
    d.settle();
    CHECK(d.table.is_ready(key));
}

TEST_CASE("adapter table: nobody has to go for a token that is not proven", "[adapter]") {
    adapter::table_settings s;
    s.max_active_adapters = 1;
    table_driver d{s};
    d.wait_for(named("a", source::hub, "mine"));
    d.settle();
    d.nobody_waits_for(d.last.key);
    const auto other = d.make_ready("other");  // takes the slot
    d.wait_for(named("a", source::hub, "a guess"));
    const auto proof = d.only_due();
    CHECK(proof.kind == call_kind::download);
    CHECK(d.said.no_longer_ready.empty());
    CHECK(d.table.is_ready(other));
    d.succeed(proof);
    CHECK(d.due().front().kind == call_kind::offload);
}
