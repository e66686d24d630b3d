// One tenant sends a hundred times its share.
#include "simulator/scenario.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace truffula::simulator;

namespace {

/// The p99 of the time to the first token in milliseconds, of all tenants but the first.
double p99_of_others(double flood, const std::string& policy) {
    constexpr int tenants = 10;
    arrival_options o;
    o.adapters = 20;
    o.output = {length_distribution::kind::uniform, 64, 0, 16, 112};
    o.tenants = {{"flood", flood}};
    for (int i = 1; i < tenants; ++i) o.tenants.emplace_back("tenant-" + std::to_string(i), 1.0);
    o.rate = flood + tenants - 1;
    scenario s;
    s.settings = *read_settings(
        "",
        {{"policy", policy},
         {"max_batch_size", "64"},
         {"max_active_adapters", "32"},
         {"adapter_calls", "concurrent"}});
    const auto from = make_arrivals(o, 1);
    const auto of = simulate(from, s);
    std::vector<double> waits;
    for (std::size_t i = 0; i < from.arrivals.size(); ++i) {
        if (from.tenants[from.arrivals[i].tenant] == "flood") continue;
        const auto wait = of.requests[i].first_token - from.arrivals[i].at;
        waits.push_back(std::chrono::duration<double, std::milli>(wait).count());
    }
    std::sort(waits.begin(), waits.end());
    return waits[waits.size() * 99 / 100];
}

}  // namespace

TEST_CASE("flood: under `fair` the others do not stand in the flood's line", "[simulator]") {
    const auto before = p99_of_others(1, "fair");
    const auto during = p99_of_others(100, "fair");
    const auto fifo = p99_of_others(100, "fifo");
    INFO("before " << before << ", during " << during << ", with fifo " << fifo);
    // They still wait for places in batches that the flood has filled.
    CHECK(during < before * 2.5);
    CHECK(fifo > during * 100);
}
