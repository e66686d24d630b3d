// Slots of adapters among tenants: under the policy `fair`.
#include "adapter/slot_shares.hpp"

#include "unit/adapter/table_driver.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace truffula;
using namespace std::chrono_literals;
using adapter::adapter_key;
using adapter::slot_shares;
using adapter::wish;
using test::table_driver;
using keys = std::vector<adapter_key>;

namespace {

adapter::table_settings shared(std::size_t slots, std::map<std::string, double> weights = {}) {
    auto s = test::with_slots(slots);
    s.shares_slots = true;
    s.tenant_weights = std::move(weights);
    return s;
}

adapter::adapter_ref of(const std::string& tenant, const std::string& adapter) {
    auto ref = test::named(adapter);
    ref.tenant = tenant;
    return ref;
}

/// The tenant's adapter is on the shards, idle, and has served.
adapter_key make_ready(table_driver& d, const std::string& tenant, const std::string& adapter) {
    const auto key = d.wait_for(of(tenant, adapter));
    d.settle();
    d.table.served(key);
    d.nobody_waits_for(key);
    return key;
}

}  // namespace

TEST_CASE("slot shares: the tenant goes first that then has fewest slots", "[adapter]") {
    slot_shares s{true, {{"heavy", 3.0}}};
    auto& heavy = s.of("heavy");
    auto& light = s.of("light");
    for (int i = 0; i < 2; ++i) s.take_slot(heavy, 10);
    s.take_slot(light, 10);
    const adapter::time_point t{};
    for (const adapter_key key : {1U, 2U, 3U, 4U, 5U}) s.want(heavy, {0.0, t, key});
    for (const adapter_key key : {6U, 7U}) s.want(light, {0.0, t, key});
    keys order;
    s.in_order(64, order);
    CHECK(order == keys{1, 2, 3, 4, 6, 5, 7});  // at levels 1, 4/3, 5/3, 2, 2, 7/3, 3
    s.give_slot(light, 10);                     // nobody is left without a slot
    s.in_order(2, order);
    CHECK(order == keys{6, 1});
    s.take_slot(light, 10);
    s.in_order(3, order);
    CHECK(order == keys{1, 2, 3});
    s.unwant(heavy, {0.0, t, 1});
    for (const adapter_key key : {2U, 3U, 4U, 5U}) s.unwant(heavy, {0.0, t, key});
    s.in_order(64, order);
    CHECK(order == keys{6, 7});
}

TEST_CASE("slot shares: without sharing all is in the order of wishes", "[adapter]") {
    slot_shares s{false, {{"heavy", 3.0}}};
    CHECK(&s.of("heavy") == &s.of("light"));
    CHECK(s.of("heavy").weight == 1);
    for (int i = 0; i < 7; ++i) s.take_slot(s.of("light"), 10);
    const adapter::time_point t{};
    s.want(s.of("light"), {1.0, t, 1});
    s.want(s.of("heavy"), {2.0, t, 2});
    keys order;
    s.in_order(64, order);
    CHECK(order == keys{1, 2});
}

TEST_CASE("adapter table: who has more slots takes none from who has fewer", "[adapter]") {
    table_driver d{shared(4)};
    const auto modest = make_ready(d, "modest", "m");
    for (const auto* name : {"a", "b", "c"}) make_ready(d, "flood", name);
    for (const auto* name : {"a", "b", "c"}) d.run(d.wait_for(of("flood", name)));
    d.wait_for(of("flood", "next"));
    d.settle();
    SECTION("not even an idle one, while it is used now and then") {
        CHECK(d.table.is_ready(modest));
        d.now += 59s;
        d.nobody_waits_for(d.wait_for(of("modest", "m")));
        d.now += 59s;
        d.settle();
        CHECK(d.table.is_ready(modest));
    }
    SECTION("but one that was not used for long") {
        const auto deadline = d.table.next_deadline(d.now);
        REQUIRE(deadline);
        CHECK(*deadline <= d.now + slot_shares::keeps);
        d.now += slot_shares::keeps;
        d.settle();
        CHECK_FALSE(d.table.is_ready(modest));
    }
    SECTION("without sharing it does") {
        table_driver other{test::with_slots(2)};
        const auto idle = make_ready(other, "modest", "m");
        make_ready(other, "flood", "a");
        other.run(other.wait_for(of("flood", "a")));
        other.wait_for(of("flood", "b"));
        other.settle();
        CHECK_FALSE(other.table.is_ready(idle));
    }
}

TEST_CASE("adapter table: who has fewer slots takes one from who has most", "[adapter]") {
    table_driver d{shared(6)};
    std::vector<adapter_key> many;
    for (const auto* name : {"a", "b", "c"}) many.push_back(make_ready(d, "flood", name));
    const auto first = make_ready(d, "second", "s1");
    const auto second = make_ready(d, "second", "s2");
    const auto own = make_ready(d, "third", "t1");
    // Idle ones of the second and its own are worth less, as the least asked for.
    for (int i = 0; i < 3; ++i) {
        for (const auto* name : {"a", "b", "c"}) d.nobody_waits_for(d.wait_for(of("flood", name)));
    }
    const auto next = d.wait_for(of("third", "t2"));
    d.settle();
    CHECK(d.table.is_ready(next));
    CHECK(d.table.is_ready(first));
    CHECK(d.table.is_ready(second));
    CHECK(d.table.is_ready(own));
    CHECK(std::ranges::count_if(many, [&](auto key) { return d.table.is_ready(key); }) == 2);
}

TEST_CASE("adapter table: a tenant's weight is its part of the slots", "[adapter]") {
    table_driver d{shared(4, {{"heavy", 3.0}})};
    const auto kept = make_ready(d, "light", "l");
    std::vector<adapter_key> of_heavy;
    for (const auto* name : {"a", "b", "c"}) of_heavy.push_back(make_ready(d, "heavy", name));
    // It has as many for its weight as one of the other: another one would be too many.
    d.wait_for(of("light", "l2"));
    d.settle();
    CHECK_FALSE(d.table.is_ready(kept));
    for (const auto key : of_heavy) CHECK(d.table.is_ready(key));
}

TEST_CASE("adapter table: a common adapter counts as one's who has few", "[adapter]") {
    table_driver d{shared(3)};
    make_ready(d, "flood", "a");
    make_ready(d, "flood", "b");
    const auto common = make_ready(d, "flood", "common");
    d.nobody_waits_for(d.wait_for(of("modest", "common")));
    for (int i = 0; i < 9; ++i) {
        for (const auto* name : {"a", "b"}) d.nobody_waits_for(d.wait_for(of("flood", name)));
    }
    d.nobody_waits_for(d.wait_for(of("flood", "common")));  // it does not win it back
    d.wait_for(of("flood", "c"));
    d.settle();
    CHECK(d.table.is_ready(common));
}

TEST_CASE("adapter table: who cannot make room by itself takes it from others", "[adapter]") {
    table_driver d{shared(4)};
    make_ready(d, "flood", "a");
    for (const auto* name : {"b", "c"}) make_ready(d, "other", name);
    // Its own 1,000 and what is free are too little for the flood's next.
    const auto large = d.wait_for(of("flood", "large"));
    for (auto calls = d.due(); !calls.empty(); calls = d.due()) {
        for (const auto& c : calls) d.succeed(c, adapter::whole_memory - 1500);
    }
    CHECK(d.table.is_ready(large));
}

TEST_CASE("adapter table: a slot that is owed is taken by who it is owed to", "[adapter]") {
    table_driver d{shared(2)};
    make_ready(d, "rich", "r");
    make_ready(d, "other", "o");
    const auto owed = d.wait_for(of("poor", "p"));
    d.succeed(d.only_due());        // its download
    const auto off = d.only_due();  // for it one of the others has to go
    REQUIRE(off.kind == adapter::call_kind::offload);
    const auto last = d.wait_for(of("last", "l"));
    d.table.set_waiting(last, 1, d.now - 1h);  // it would go first
    d.succeed(d.only_due());
    d.succeed(off);
    const auto calls = d.due();
    REQUIRE(std::ranges::count(calls, adapter::call_kind::load, &adapter::call::kind) == 1);
    CHECK(d.table.state(owed) == adapter::adapter_state::loading);
    CHECK(d.table.state(last) == adapter::adapter_state::downloaded);
}

TEST_CASE("adapter table: nothing is owed to who does not wait any more", "[adapter]") {
    table_driver d{shared(1)};
    make_ready(d, "rich", "r");
    const auto owed = d.wait_for(of("poor", "p"));
    d.succeed(d.only_due());
    const auto off = d.only_due();
    d.nobody_waits_for(owed);
    const auto last = d.wait_for(of("last", "l"));
    d.table.set_waiting(last, 1, d.now - 1h);  // it goes first
    d.succeed(d.only_due());
    d.wait_for(of("poor", "p"));
    d.succeed(off);
    CHECK(d.only_due().key == last);
}

TEST_CASE("adapter table: who may take what others do not use is told when", "[adapter]") {
    table_driver d{shared(2)};
    make_ready(d, "modest", "m");
    d.wait_for(of("flood", "a"));
    d.settle();  // it has not served: it stays
    d.wait_for(of("flood", "b"));
    d.settle();
    CHECK(d.table.next_deadline(d.now) == d.now + slot_shares::keeps);
}
