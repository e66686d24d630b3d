// Virtual time and fixed seeds: these figures are the same on every machine.
#include "simulator/goals.hpp"

#include <catch2/catch.hpp>

using namespace truffula::simulator;

namespace {

constexpr std::size_t seeds = 5;

scenario on_w(router_kind router) {
    scenario s;
    s.router = router;
    s.settings = *read_settings("", settings_w(true));
    return s;
}

}  // namespace

TEST_CASE(
    "goals: the reference policy is within 15 % of lorax-router at 15/s and 25/s",
    "[simulator][goals]") {
    const auto slow = run_w(15, on_w(router_kind::lorax), seeds);
    CHECK(slow.ttft.mean == Approx(219).epsilon(0.15));
    CHECK(slow.ttft.p99 == Approx(566).epsilon(0.15));
    CHECK(slow.jain == Approx(0.994).epsilon(0.15));
    CHECK(static_cast<double>(slow.loads) == Approx(653).epsilon(0.15));
    const auto busy = run_w(25, on_w(router_kind::lorax), seeds);
    CHECK(busy.ttft.mean == Approx(403).epsilon(0.15));
    CHECK(busy.ttft.p99 == Approx(1871).epsilon(0.15));
    CHECK(busy.jain == Approx(0.968).epsilon(0.15));
    CHECK(static_cast<double>(busy.loads) == Approx(986).epsilon(0.15));
}

TEST_CASE("goals: what is promised for workload W holds where it did", "[simulator][goals]") {
    const auto slow = run_w(15, on_w(router_kind::truffula), seeds);
    CHECK(slow.ttft.mean <= 70);
    CHECK(slow.ttft.p99 <= 200);
    CHECK(slow.jain >= 0.995);
    CHECK(slow.loads <= 600);
    const auto busy = run_w(25, on_w(router_kind::truffula), seeds);
    CHECK(busy.ttft.mean <= 85);
    CHECK(busy.ttft.p99 <= 450);
    CHECK(busy.jain >= 0.995);
    CHECK(busy.loads <= 920);
    CHECK(busy.inter_token.p99 <= 55);
    const auto full = run_w(35, on_w(router_kind::truffula), seeds);
    CHECK(full.ttft.p99 <= 1100);
    CHECK(full.jain >= 0.98);
    CHECK(full.done_after <= 62);
    const auto beyond = run_w(50, on_w(router_kind::truffula), seeds);
    CHECK(beyond.ttft.p99 <= 5000);
    CHECK(beyond.jain >= 0.95);
    CHECK(beyond.done_after <= 66);
}

TEST_CASE(
    "goals: Truffula's first tokens come sooner and more evenly than LoRAX's",
    "[simulator][goals]") {
    for (const double rate : {15.0, 25.0}) {
        const auto lorax = run_w(rate, on_w(router_kind::lorax), seeds);
        const auto ours = run_w(rate, on_w(router_kind::truffula), seeds);
        CHECK(ours.ttft.mean < lorax.ttft.mean / 2);
        CHECK(ours.ttft.p99 < lorax.ttft.p99 / 2);
        CHECK(ours.jain > lorax.jain);
        CHECK(ours.loads < lorax.loads);
        CHECK(ours.inter_token.p99 <= 55);
    }
}
