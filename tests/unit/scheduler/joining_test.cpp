// Who may join a running batch that is nearly full.
#include "support/scheduler_world.hpp"
#include "truffula/scheduler/scheduler_state.hpp"

#include <catch2/catch.hpp>

using namespace truffula;
using namespace std::chrono_literals;
using test::scheduler_world;
using ids = std::vector<scheduler::request_id>;

namespace {

/// Three that take 120 tokens each run, of 400. A fourth like them would not fit.
struct nearly_full : scheduler_world {
    explicit nearly_full(scheduler::cost_model model) : scheduler_world(limits_of(model)) {
        for (int i = 0; i < 3; ++i) submit({"", 100, 20});
        REQUIRE(next({}, 1000, 400).size() == 3);
        terms.weigh = {3, 10ms, 0ms, 1.0F};
    }

    static scheduler::shard_limits limits_of(scheduler::cost_model model) {
        auto l = limits(1000, 400);
        l.model = model;
        l.block_size = 10;
        return l;
    }

    ids join() { return next(terms, 1000, 40); }

    scheduler::join_terms terms;
};

}  // namespace

TEST_CASE("joining: a small request has room where none of the usual size has", "[scheduler]") {
    const auto model = GENERATE(scheduler::cost_model::plain, scheduler::cost_model::blocks);
    nearly_full w{model};
    const auto id = w.submit({"", 10, 10});
    w.now += 29ms;
    CHECK(w.join().empty());
    CHECK(*w.state.why_waiting(id) == scheduler::wait_reason::join_size);
    w.now += 1ms;  // now it has waited as long as the three together would
    CHECK(w.join() == ids{id});
}

TEST_CASE("joining: one that has no room does not hold up those who run", "[scheduler]") {
    const auto [model, reason] = GENERATE(
        std::pair{scheduler::cost_model::plain, scheduler::wait_reason::total_budget},
        std::pair{scheduler::cost_model::blocks, scheduler::wait_reason::blocks});
    nearly_full w{model};
    const auto id = w.submit({"", 40, 10});
    w.now += 1h;
    CHECK(w.join().empty());
    CHECK(*w.state.why_waiting(id) == reason);
}
