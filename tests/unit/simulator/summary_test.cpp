#include "simulator/summary.hpp"

#include "simulator/timeline.hpp"

#include <catch2/catch.hpp>

using namespace truffula::simulator;
using namespace std::chrono_literals;

TEST_CASE("summary: Jain's index is 1 for equal values and 1/n for one alone", "[simulator]") {
    CHECK(jain_index({}) == 1);
    CHECK(jain_index({0, 0}) == 1);
    CHECK(jain_index({2, 2, 2}) == Approx(1));
    CHECK(jain_index({1, 0, 0, 0}) == Approx(0.25));
    CHECK(jain_index({1, 2}) == Approx(0.9));
}

TEST_CASE("summary: times are counted from arrival, quantiles by nearest rank", "[simulator]") {
    workload w;
    outcome out;
    for (int i = 1; i <= 200; ++i) {
        const duration at = std::chrono::seconds{i};
        w.arrivals.push_back({at, 0, 0, 10, 3, false});
        out.requests.push_back({at, at + std::chrono::milliseconds{i}, at + 1s, false});
    }
    out.requests[199].has_failed = true;
    out.failures.push_back({199, "x"});
    out.end = 400s;
    out.intervals = {{30ms, 1}, {10ms, 98}, {20ms, 1}};
    const auto s = summarise(w, out, {});
    CHECK(s.requests == 200);
    CHECK(s.failed == 1);
    CHECK(s.ttft.mean == Approx(100));
    CHECK(s.ttft.p50 == 100);
    CHECK(s.ttft.p99 == 198);  // the 198th of 199
    CHECK(s.end_to_end.mean == Approx(1000));
    CHECK(s.inter_token.p50 == 10);
    CHECK(s.inter_token.p99 == 20);
    CHECK(s.requests_per_second == Approx(199.0 / 400));
    CHECK(s.tokens_per_second == Approx(3 * 199.0 / 400));
    REQUIRE(s.tenants.size() == 1);
    CHECK(s.tenants[0].failed == 1);
}

TEST_CASE("summary: the index is over adapters, of slowdowns", "[simulator]") {
    workload w;
    w.adapters = {"", "a", "b"};
    outcome out;
    shard_costs costs;  // ideal: 10 ms + one decode of 15.05 ms
    const duration ideal = 25'050us;
    for (const auto adapter : {1U, 1U, 1U, 2U}) {
        w.arrivals.push_back({0s, adapter, 0, 10, 2, false});
        out.requests.push_back({0s, 10ms, adapter == 1 ? ideal : 3 * ideal, false});
    }
    CHECK(summarise(w, out, costs).jain == Approx(jain_index({1, 3})));
}

TEST_CASE("summary: each figure's median stands by itself", "[simulator]") {
    std::vector<summary> all(3);
    all[0].loads = 5;
    all[1].loads = 1;
    all[2].loads = 3;
    all[0].ttft.p99 = 10;
    all[1].ttft.p99 = 30;
    all[2].ttft.p99 = 20;
    const auto m = median(all);
    CHECK(m.loads == 3);
    CHECK(m.ttft.p99 == 20);
}

TEST_CASE("timeline: bins hold means over time and never grow in number", "[simulator]") {
    timeline t;
    t.note(0ns, 2, 0);
    t.note(5ms, 4, 1);
    t.finish(20ms);
    auto bins = t.bins();
    REQUIRE(bins.size() == 2);
    CHECK(bins[0].waiting == Approx(3));
    CHECK(bins[0].most_waiting == 4);
    CHECK(bins[1].waiting == Approx(4));
    CHECK(bins[1].running == Approx(1));
    t.finish(100s);
    bins = t.bins();
    CHECK(bins.size() <= 600);
    CHECK(bins.front().waiting == Approx((2 * 5 + 4 * (320 - 5)) / 320.0));
    CHECK(t.width() == 320ms);
}
