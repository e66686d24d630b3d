#include "simulator/simulation.hpp"

#include "simulator/goals.hpp"
#include "simulator/report.hpp"
#include "simulator/scenario.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace truffula;
using namespace truffula::simulator;
using namespace std::chrono_literals;

namespace {

scenario with(
    const std::vector<router_option>& options, router_kind router = router_kind::truffula) {
    scenario s;
    s.router = router;
    s.settings = *read_settings("", options);
    s.call_gap = 0ns;
    s.adapter_call_gap = 0ns;
    return s;
}

workload one_request(std::uint32_t adapter, std::uint32_t output) {
    workload w;
    w.adapters.push_back("sql");
    w.arrivals.push_back({1s, adapter, 0, 10, output, false});
    return w;
}

std::string bytes_of(const workload& w, const scenario& s) {
    const auto happened = simulate(w, s);
    const auto figures = summarise(w, happened, s.costs);
    return to_json(report{"", w, happened, figures}).dump();
}

}  // namespace

TEST_CASE("simulation: a request that is alone takes what the shard takes", "[simulator]") {
    for (const auto router : {router_kind::truffula, router_kind::lorax}) {
        const auto w = one_request(1, 4);
        const auto out = simulate(w, with({}, router));
        // Download 50, load 20, prefill 10, three decodes of 15.05 ms.
        CHECK(out.requests[0].first_token == 1s + 80ms);
        CHECK(out.requests[0].done == 1s + 80ms + 3 * 15'050us);
        CHECK(out.decodes == 3);
        CHECK(out.end == out.requests[0].done);
    }
}

TEST_CASE("simulation: the base model needs no adapter call, one token no decode", "[simulator]") {
    const auto out = simulate(one_request(0, 1), with({}));
    CHECK(out.requests[0].done == 1s + 10ms);
    CHECK(out.decodes == 0);
    CHECK(out.adapter_calls == std::array<std::size_t, 3>{});
}

TEST_CASE("simulation: the gap before a call counts once for each call", "[simulator]") {
    auto s = with({});
    s.call_gap = 1ms;
    s.adapter_call_gap = 2ms;
    const auto out = simulate(one_request(1, 3), s);
    CHECK(out.requests[0].first_token == 1s + 80ms + 2 * 2ms + 1ms);
    CHECK(out.requests[0].done == out.requests[0].first_token + 2 * (15'050us + 1ms));
}

TEST_CASE(
    "simulation: adapter calls stall steps only on shards that serve one call at a time",
    "[simulator]") {
    workload w;
    w.adapters.push_back("sql");
    w.arrivals.push_back({0s, 0, 0, 10, 20, false});
    w.arrivals.push_back({1ms, 1, 0, 10, 2, false});
    auto s = with({{"adapter_calls", "concurrent"}});
    s.costs.decode_sequence = 0ns;
    const auto beside = simulate(w, s);
    s.costs.overlap = false;
    const auto stalled = simulate(w, s);
    // 70 ms of download and load, in both; the second's prefill of 10 ms stalls the first, too.
    CHECK(beside.requests[0].done == 10ms + 19 * 15ms + 10ms);
    CHECK(stalled.requests[0].done == beside.requests[0].done + 70ms);
}

TEST_CASE("simulation: the same seed gives the same bytes", "[simulator]") {
    for (const auto router : {router_kind::truffula, router_kind::lorax}) {
        const auto s = with(settings_w(true), router);
        const auto w = make_arrivals(workload_w(35), 11);
        CHECK(bytes_of(w, s) == bytes_of(make_arrivals(workload_w(35), 11), s));
    }
}

TEST_CASE("simulation: every request ends once, served after it came", "[simulator]") {
    const auto router = GENERATE(router_kind::truffula, router_kind::lorax);
    const bool overlap = GENERATE(true, false);
    const auto* eager = GENERATE("true", "false");
    const std::vector<router_option> more{{"eager_prefill", eager}, {"max_active_adapters", "4"}};
    auto s = with(overlaid(settings_w(overlap), more), router);
    s.costs.overlap = overlap;
    arrival_options a = workload_w(40);
    a.seconds = 10;
    a.adapters = 40;
    a.base_share = 0.1;
    a.output = *read_lengths("uniform:1:40");
    const auto w = make_arrivals(a, 5);
    const auto out = simulate(w, s);
    std::uint64_t steps = 0;
    for (std::size_t i = 0; i < w.arrivals.size(); ++i) {
        const auto& r = out.requests[i];
        REQUIRE_FALSE(r.has_failed);
        REQUIRE(w.arrivals[i].at <= r.joined);
        REQUIRE(r.joined < r.first_token);
        REQUIRE((r.done > r.first_token) == (w.arrivals[i].output_tokens > 1));
        steps += w.arrivals[i].output_tokens - 1;
    }
    CHECK(out.failures.empty());
    CHECK(
        out.decoded_sequences == steps);  // a Decode gives each one token: none lost, none doubled
    std::uint64_t intervals = 0;
    for (const auto& i : out.intervals) intervals += i.requests;
    CHECK(intervals == steps);
}

TEST_CASE("simulation: what can never fit fails with the scheduler's words", "[simulator]") {
    auto w = one_request(0, 10);
    w.arrivals.push_back({2s, 0, 0, 5000, 10, false});
    const auto out = simulate(w, with({{"max_batch_prefill_tokens", "4096"}}));
    CHECK_FALSE(out.requests[0].has_failed);
    REQUIRE(out.failures.size() == 1);
    CHECK(out.failures[0].request == 1);
    CHECK(out.failures[0].why.find("4096") != std::string::npos);
}

TEST_CASE(
    "simulation: an adapter stays on the shards from its load to its offload", "[simulator]") {
    workload w;
    for (const auto* name : {"a", "b"}) w.adapters.emplace_back(name);
    w.arrivals.push_back({0s, 1, 0, 10, 1, false});
    w.arrivals.push_back({1s, 2, 0, 10, 1, false});
    const auto out = simulate(w, with({{"max_active_adapters", "1"}}));
    REQUIRE(out.residences.size() == 2);
    CHECK(out.residences[0].adapter == 1);
    CHECK(out.residences[0].from == 70ms);
    CHECK(out.residences[0].to == 1s + 50ms);
    CHECK(out.residences[1].from == 1s + 70ms);
    CHECK(out.residences[1].to == out.end);
}

TEST_CASE(
    "simulation: three adapters in turn are loaded once; LoRAX loads them each time",
    "[simulator]") {
    workload w;
    for (const auto* name : {"a", "b", "c"}) w.adapters.emplace_back(name);
    for (std::uint32_t i = 0; i < 12; ++i) {
        w.arrivals.push_back({std::chrono::seconds{i}, i % 3 + 1, 0, 10, 2, false});
    }
    const auto ours = summarise(w, simulate(w, with({})), {});
    CHECK(ours.loads == 3);
    CHECK(ours.offloads == 0);
    const auto theirs = summarise(w, simulate(w, with({}, router_kind::lorax)), {});
    CHECK(theirs.loads == 12);
    CHECK(theirs.offloads == 11);
}
