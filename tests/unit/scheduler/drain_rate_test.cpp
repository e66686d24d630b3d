#include "truffula/scheduler/drain_rate.hpp"

#include <catch2/catch.hpp>

#include <limits>

using namespace std::chrono_literals;
using truffula::scheduler::drain_rate;
using truffula::scheduler::retry_line;

namespace {

const drain_rate::time_point start{1h};

/// Ten requests per second for `time`, always somebody waiting.
void drain(drain_rate& r, drain_rate::time_point& now, std::chrono::seconds time) {
    for (const auto end = now + time; now < end; now += 100ms) r.observe(1, 5, now);
}

}  // namespace

TEST_CASE("drain rate: what leaves a line in which somebody stands", "[scheduler]") {
    drain_rate r;
    auto now = start;
    CHECK_FALSE(r.per_second());
    drain(r, now, 5s);
    CHECK(*r.per_second() == Approx(10).epsilon(0.05));
    CHECK(std::chrono::duration<double>(*r.time_for(50)).count() == Approx(5).epsilon(0.05));
}

TEST_CASE("drain rate: nothing is said before there is enough to go by", "[scheduler]") {
    drain_rate r;
    r.observe(0, 7, start);
    r.observe(7, 1, start + 10s);
    CHECK_FALSE(r.per_second());
    r.observe(1, 1, start + 10s);
    CHECK(r.per_second());
    drain_rate quick;
    quick.observe(0, 9, start);
    quick.observe(9, 9, start + 499ms);
    CHECK_FALSE(quick.time_for(1));
    quick.observe(0, 9, start + 501ms);
    CHECK(quick.time_for(1));
}

TEST_CASE("drain rate: slow lines are known, too, and stay so", "[scheduler]") {
    drain_rate r;
    auto now = start;
    r.observe(0, 5, now);
    for (int i = 0; i < 100; ++i) {
        // Looked at each second; one leaves every twenty.
        for (int second = 0; second < 20; ++second) r.observe(0, 5, now += 1s);
        r.observe(1, 5, now);
        REQUIRE(r.per_second().has_value() == (i >= 7));
        if (i >= 7) CHECK(*r.per_second() == Approx(1.0 / 20).epsilon(0.05));
    }
    // It has become quick.
    drain(r, now, 30s);
    CHECK(*r.per_second() == Approx(10).epsilon(0.1));
}

TEST_CASE("drain rate: times when nobody waits do not count", "[scheduler]") {
    drain_rate r;
    auto now = start;
    drain(r, now, 5s);
    r.observe(0, 0, now);
    now += 1h;
    r.observe(0, 3, now);
    CHECK(*r.per_second() == Approx(10).epsilon(0.05));
}

TEST_CASE("drain rate: a line that stands still is seen", "[scheduler]") {
    drain_rate r;
    auto now = start;
    drain(r, now, 30s);
    const auto before = *r.per_second();
    r.observe(0, 5, now + 10s);
    CHECK(*r.per_second() < before * 0.7);
}

TEST_CASE("retry line: each refused client is told when its turn would be", "[scheduler]") {
    retry_line line;
    // Two places come free per second.
    for (const int expected : {1, 1, 2, 2, 3, 3}) {
        CHECK(line.refused(2.0, start) == std::chrono::seconds{expected});
    }
    // After two seconds four places have come free: of six two still wait.
    CHECK(line.refused(2.0, start + 2s) == 2s);
    CHECK(line.refused(2.0, start + 1h) == 1s);
}

TEST_CASE("retry line: never longer than a minute, and known when nothing is", "[scheduler]") {
    retry_line line;
    CHECK(line.refused(0.0, start) == retry_line::unknown);
    CHECK(line.refused(std::numeric_limits<double>::quiet_NaN(), start) == retry_line::unknown);
    for (int i = 0; i < 1000; ++i) line.refused(1.0, start);
    CHECK(line.refused(1.0, start) == retry_line::longest);
    CHECK(line.refused(1.0, start + 59s) <= 3s);
    CHECK(line.refused(1e-9, start + 60s) == retry_line::longest);
}
