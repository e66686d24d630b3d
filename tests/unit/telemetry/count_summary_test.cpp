#include "truffula/telemetry/count_summary.hpp"

#include <catch2/catch.hpp>

#include <map>

using namespace truffula;
using namespace std::chrono_literals;

namespace {

using clock_type = telemetry::count_summary::clock;
const auto start = clock_type::time_point{} + 1h;

std::map<double, double> quantiles_of(
    const telemetry::count_summary& s, clock_type::time_point now) {
    std::map<double, double> found;
    for (const auto& q : s.collect(now).quantile) found[q.quantile] = q.value;
    return found;
}

}  // namespace

TEST_CASE("count summary: small counts are exact", "[telemetry]") {
    telemetry::count_summary s;
    for (std::uint64_t i = 1; i <= 100; ++i) s.observe(i, start);
    const auto q = quantiles_of(s, start);
    REQUIRE(q.size() == 7);
    CHECK(q.at(0) == 1);
    CHECK(q.at(0.5) == 50);
    CHECK(q.at(0.9) == 90);
    CHECK(q.at(0.99) == 99);
    CHECK(q.at(0.999) == 100);
    CHECK(q.at(1) == 100);
    const auto all = s.collect(start);
    CHECK(all.sample_count == 100);
    CHECK(all.sample_sum == 5050);
}

TEST_CASE("count summary: large counts are right to 1.6 %", "[telemetry]") {
    for (std::uint64_t count = 1; count < (1ULL << 40U); count = count * 5 / 3 + 1) {
        telemetry::count_summary s;
        s.observe(0, start);
        for (int i = 0; i < 8; ++i) s.observe(count, start);
        const auto kept = std::min<std::uint64_t>(count, UINT32_MAX);
        const auto median = quantiles_of(s, start).at(0.5);
        CHECK(median <= static_cast<double>(kept));
        CHECK(median >= static_cast<double>(kept) * (1 - 1.0 / 64));
        CHECK(quantiles_of(s, start).at(1) == static_cast<double>(kept));
    }
}

TEST_CASE("count summary: a minute later samples are forgotten, not their sum", "[telemetry]") {
    telemetry::count_summary s;
    s.observe(10, start);
    s.observe(20, start + 29s);
    s.observe(30, start + 30s);  // the first half is over
    CHECK(quantiles_of(s, start + 59s).at(0) == 10);
    CHECK(quantiles_of(s, start + 60s).at(0) == 30);
    CHECK(quantiles_of(s, start + 60s).at(1) == 30);
    CHECK(quantiles_of(s, start + 1h).at(1) == 0);
    CHECK(s.collect(start + 1h).sample_count == 3);
    CHECK(s.collect(start + 1h).sample_sum == 60);
}

TEST_CASE("count summary: nothing yet", "[telemetry]") {
    const telemetry::count_summary s;
    CHECK(s.collect(start).sample_count == 0);
    CHECK(quantiles_of(s, start).at(0.5) == 0);
}
