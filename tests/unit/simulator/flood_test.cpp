// One tenant sends a hundred times its share.
#include "simulator/flood.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace truffula::simulator;

namespace {

/// The p99 of the time to the first token in milliseconds, of all tenants but the first.
double p99_of_others(
    double times,
    const std::string& policy,
    std::uint64_t seed,
    const std::vector<router_option>& more = {},
    workload make(double, double, std::uint64_t) = flood_over_common_adapters,
    double seconds = 120) {
    scenario s;
    s.settings = *read_settings("", overlaid(flood_settings(policy), more));
    const auto from = make(times, seconds, seed);
    return ttft_of_others(from, simulate(from, s)).p99;
}

}  // namespace

TEST_CASE("flood: under `fair` it moves the others' p99 by less than a fifth", "[simulator]") {
    for (const std::uint64_t seed : {1UL, 2UL, 3UL}) {
        const auto before = p99_of_others(1, "fair", seed);
        const auto during = p99_of_others(100, "fair", seed);
        INFO("seed " << seed << ": before " << before << ", during " << during);
        CHECK(during < before * 1.2);
    }
    CHECK(p99_of_others(100, "fifo", 1) > 10'000);
}

TEST_CASE("flood: the same where tokens are the limit, not places", "[simulator]") {
    const std::vector<router_option> by_tokens{{"max_batch_size", "100000"}};
    const auto before = p99_of_others(1, "fair", 1, by_tokens);
    const auto during = p99_of_others(100, "fair", 1, by_tokens);
    INFO("before " << before << ", during " << during);
    CHECK(during < before * 1.2);
}

TEST_CASE("flood: the same if it goes through more adapters than there are slots", "[simulator]") {
    const auto p99 = [](double times) {
        // Long enough for the first loads, which find all slots taken, not to count.
        return p99_of_others(times, "fair", 1, {}, flood_over_own_adapters, 600);
    };
    const auto before = p99(1);
    const auto during = p99(100);
    INFO("before " << before << ", during " << during);
    CHECK(during < before * 1.2);
}
