// Who has to leave the shards, when, and for whom (design section 6).
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

TEST_CASE("adapter table: nobody goes where that would not make room", "[adapter]") {
    table_driver d{test::with_slots(3)};
    const auto small = d.make_ready("small", 1000);
    d.wait_for(test::named("large"));
    d.settle(900'000);  // it has not served: it stays
    d.wait_for(test::named("next"));
    d.succeed(d.only_due(), 500'000);
    CHECK(d.due().empty());
    CHECK(d.table.is_ready(small));
}
