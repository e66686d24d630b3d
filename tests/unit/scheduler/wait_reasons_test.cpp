#include "support/scheduler_world.hpp"
#include "truffula/scheduler/scheduler_state.hpp"

#include <catch2/catch.hpp>

#include <numeric>
#include <set>

using namespace truffula;
using namespace std::chrono_literals;
using scheduler::wait_reason;
using test::scheduler_world;

namespace {

std::string why(const scheduler_world& w, scheduler::request_id id) {
    const auto reason = w.state.why_waiting(id);
    return reason ? std::string{scheduler::name_of(*reason)} : "not waiting";
}

scheduler::scheduler_settings with_slots(std::size_t slots) {
    scheduler::scheduler_settings s;
    s.adapters.max_active_adapters = slots;
    return s;
}

/// Starts the calls that are due and answers those of `kind`.
void answer(scheduler_world& w, adapter::call_kind kind, adapter::memory_share share = 1000) {
    for (const auto& c : w.state.due(w.now, 64)) {
        if (c.kind == kind) w.state.finished(c.id, share, w.now);
    }
}

}  // namespace

TEST_CASE("wait reasons: each has a name of its own", "[scheduler]") {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < scheduler::wait_reasons; ++i) {
        names.insert(scheduler::name_of(static_cast<wait_reason>(i)));
    }
    CHECK(names.size() == scheduler::wait_reasons);
}

TEST_CASE("wait reasons: an adapter on its way", "[scheduler]") {
    scheduler_world w;
    const auto id = w.submit({"a"});
    CHECK(why(w, id) == "downloading");
    answer(w, adapter::call_kind::download);
    CHECK(why(w, id) == "loading");
    answer(w, adapter::call_kind::load);
    CHECK(why(w, id) == "policy");
}

TEST_CASE("wait reasons: a slot, memory, a drain", "[scheduler]") {
    scheduler_world w{scheduler_world::limits(), with_slots(1)};
    w.submit({"busy"});
    w.run_calls();
    w.next();
    const auto next = w.submit({"next"});
    answer(w, adapter::call_kind::download);
    CHECK(why(w, next) == "slot");
    w.now += 1h;
    w.state.due(w.now, 64);
    const auto late = w.submit({"busy"});
    CHECK(why(w, late) == "draining");

    scheduler_world m;
    m.share = 600'000;
    m.submit({"busy"});
    m.run_calls();
    m.next();
    const auto large = m.submit({"large"});
    answer(m, adapter::call_kind::download, 600'000);
    CHECK(why(m, large) == "memory");
}

TEST_CASE("wait reasons: a proof", "[scheduler]") {
    scheduler_world w;
    w.submit({"a", 10, 10, "good", adapter::source::hub});
    w.run_calls();
    const auto stranger = w.submit({"a", 10, 10, "other", adapter::source::hub});
    CHECK(why(w, stranger) == "proof");
}

TEST_CASE("wait reasons: budgets", "[scheduler]") {
    scheduler_world w;
    const auto small = w.submit({"", 10, 10});
    const auto next = w.submit({"", 600, 10});
    const auto behind = w.submit({"", 10, 10});
    CHECK(why(w, small) == "policy");
    w.next({}, 100);
    CHECK(why(w, small) == "not waiting");
    CHECK(why(w, next) == "prefill_budget");
    CHECK(why(w, behind) == "prefill_budget");
    w.next({}, 1000, 100);
    CHECK(why(w, next) == "total_budget");
}

TEST_CASE("wait reasons: a prefill that is used up keeps all, however many", "[scheduler]") {
    scheduler::scheduler_settings s;
    s.max_heads_passed = 1;
    scheduler_world w{scheduler_world::limits(), s};
    for (const auto* name : {"a", "b", "c", "d", "e"}) w.submit({name, 10});
    w.run_calls();
    REQUIRE(w.next(std::nullopt, 10) == std::vector<scheduler::request_id>{0});
    const auto counts = w.state.count_by_reason();
    CHECK(counts[static_cast<std::size_t>(wait_reason::prefill_budget)] == 4);
}

TEST_CASE("wait reasons: who was looked past has a reason of its own", "[scheduler]") {
    scheduler_world w;
    const auto large = w.submit({"a", 10, 3000});
    const auto fits = w.submit({"b", 10, 10});
    const auto other = w.submit({"c", 10, 10});
    w.run_calls();
    REQUIRE(w.next(std::nullopt, 10, 100) == std::vector{fits});
    CHECK(w.state.why_waiting(large) == wait_reason::total_budget);
    CHECK(w.state.why_waiting(other) == wait_reason::prefill_budget);
}

TEST_CASE("wait reasons: blocks", "[scheduler]") {
    auto limits = scheduler_world::limits(1000, 320);
    limits.model = scheduler::cost_model::blocks;
    limits.block_size = 16;
    scheduler_world w{limits};
    w.submit({"", 100, 100});
    const auto second = w.submit({"", 100, 100});
    w.next();
    CHECK(why(w, second) == "blocks");
}

TEST_CASE("wait reasons: the batch is full, or joining not worth it", "[scheduler]") {
    scheduler::scheduler_settings s;
    s.max_batch_size = 1;
    scheduler_world w{scheduler_world::limits(), s};
    w.submit({});
    const auto id = w.submit({});
    w.next();
    CHECK(why(w, id) == "batch_size");
    w.end_all();
    CHECK(w.next(std::size_t{5}).empty());
    CHECK(why(w, id) == "join_size");
}

TEST_CASE("wait reasons: the counts add up to all that wait", "[scheduler]") {
    scheduler_world w{scheduler_world::limits(), with_slots(1)};
    for (int i = 0; i < 30; ++i) {
        w.submit({i % 3 == 0 ? "" : "a" + std::to_string(i % 3), 100, 100});
    }
    w.run_calls();
    w.next({}, 300);
    const auto counts = w.state.count_by_reason();
    CHECK(std::accumulate(counts.begin(), counts.end(), std::size_t{0}) == w.state.waiting());
}

TEST_CASE("wait reasons: the longest time that a ready adapter was not served", "[scheduler]") {
    scheduler_world w;
    CHECK(w.state.longest_unserved(w.now) == 0s);
    w.submit({"a"});
    w.now += 1s;
    CHECK(w.state.longest_unserved(w.now) == 0s);  // it is not ready
    w.run_calls();
    w.now += 2s;
    CHECK(w.state.longest_unserved(w.now) == 2s);
    w.submit({"a"});
    w.next({}, 10);  // one of the two
    w.now += 3s;
    CHECK(w.state.longest_unserved(w.now) == 3s);
}
