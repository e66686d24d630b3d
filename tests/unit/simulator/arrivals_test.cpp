#include "simulator/arrivals.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <map>

using namespace truffula;
using namespace truffula::simulator;

namespace {

arrival_options many() {
    arrival_options o;
    o.rate = 1000;
    o.seconds = 100;
    return o;
}

double seconds(duration d) {
    return static_cast<double>(d.count()) / 1e9;
}

}  // namespace

TEST_CASE("arrivals: the same seed gives the same requests, another seed others", "[simulator]") {
    const auto once = make_arrivals(many(), 7);
    const auto again = make_arrivals(many(), 7);
    const auto other = make_arrivals(many(), 8);
    REQUIRE(once.arrivals.size() == again.arrivals.size());
    const auto same = [](const arrival& a, const arrival& b) {
        return a.at == b.at && a.adapter == b.adapter && a.input_tokens == b.input_tokens;
    };
    CHECK(std::ranges::equal(once.arrivals, again.arrivals, same));
    CHECK_FALSE(std::ranges::equal(once.arrivals, other.arrivals, same));
}

TEST_CASE("arrivals: Poisson gaps have the mean and the spread of their rate", "[simulator]") {
    const auto w = make_arrivals(many(), 1);
    CHECK(w.arrivals.size() == Approx(100'000).epsilon(0.02));
    double sum = 0;
    double squares = 0;
    for (std::size_t i = 1; i < w.arrivals.size(); ++i) {
        const auto gap = seconds(w.arrivals[i].at - w.arrivals[i - 1].at);
        sum += gap;
        squares += gap * gap;
    }
    const auto n = static_cast<double>(w.arrivals.size() - 1);
    const auto mean = sum / n;
    CHECK(mean == Approx(0.001).epsilon(0.02));
    CHECK(std::sqrt(squares / n - mean * mean) == Approx(mean).epsilon(0.03));
}

TEST_CASE("arrivals: the k-th adapter is as popular as Zipf says", "[simulator]") {
    auto o = many();
    o.adapters = 1000;
    const auto w = make_arrivals(o, 1);
    std::map<std::uint32_t, double> count;
    for (const auto& a : w.arrivals) ++count[a.adapter];
    double harmonic = 0;
    for (int k = 1; k <= 1000; ++k) harmonic += 1.0 / k;
    const auto n = static_cast<double>(w.arrivals.size());
    CHECK(count[1] / n == Approx(1 / harmonic).epsilon(0.03));
    CHECK(count[4] / n == Approx(0.25 / harmonic).epsilon(0.06));
    CHECK(w.adapters[1] == "adapter-1");
    CHECK(count.count(0) == 0);
}

TEST_CASE(
    "arrivals: log-normal lengths have the mean asked for and end at their limit", "[simulator]") {
    auto o = many();
    o.input = *read_lengths("lognormal:100:0.8");
    const auto free = make_arrivals(o, 1);
    double sum = 0;
    for (const auto& a : free.arrivals) sum += a.input_tokens;
    CHECK(sum / static_cast<double>(free.arrivals.size()) == Approx(100).epsilon(0.02));

    o.input = *read_lengths("lognormal:100:0.8:150");
    std::uint32_t longest = 0;
    for (const auto& a : make_arrivals(o, 1).arrivals) longest = std::max(longest, a.input_tokens);
    CHECK(longest == 150);
}

TEST_CASE("arrivals: uniform lengths reach both ends and nothing beyond", "[simulator]") {
    auto o = many();
    o.output = *read_lengths("uniform:3:7");
    std::map<std::uint32_t, int> seen;
    for (const auto& a : make_arrivals(o, 1).arrivals) ++seen[a.output_tokens];
    CHECK(seen.size() == 5);
    CHECK(seen.begin()->first == 3);
    CHECK(seen.rbegin()->first == 7);
}

TEST_CASE("arrivals: bursts come at their multiple of the rate, in their time", "[simulator]") {
    auto o = many();
    o.process = arrival_process::bursts;
    o.burst_factor = 4;
    o.burst_every = 10;
    o.burst_length = 2;
    double inside = 0;
    double outside = 0;
    for (const auto& a : make_arrivals(o, 1).arrivals) {
        (std::fmod(seconds(a.at), 10.0) < 2 ? inside : outside) += 1;
    }
    CHECK(inside / 20 == Approx(4000).epsilon(0.02));  // 10 bursts of 2 s
    CHECK(outside / 80 == Approx(1000).epsilon(0.02));
}

TEST_CASE("arrivals: tenants, base model and priority have their shares", "[simulator]") {
    auto o = many();
    o.tenants = {{"flood", 100}, {"acme", 1}};
    o.base_share = 0.25;
    o.batch_share = 0.1;
    const auto w = make_arrivals(o, 1);
    double acme = 0;
    double base = 0;
    double batch = 0;
    for (const auto& a : w.arrivals) {
        acme += w.tenants[a.tenant] == "acme";
        base += a.adapter == 0;
        batch += a.is_batch;
    }
    const auto n = static_cast<double>(w.arrivals.size());
    CHECK(acme / n == Approx(1.0 / 101).epsilon(0.1));
    CHECK(base / n == Approx(0.25).epsilon(0.03));
    CHECK(batch / n == Approx(0.1).epsilon(0.05));
}

TEST_CASE("arrivals: evenly spaced ones end with their number", "[simulator]") {
    auto o = many();
    o.process = arrival_process::uniform;
    o.rate = 10;
    o.most_requests = 3;
    const auto w = make_arrivals(o, 1);
    REQUIRE(w.arrivals.size() == 3);
    CHECK(seconds(w.arrivals[2].at) == Approx(0.3));
}

TEST_CASE("arrivals: a length that is none is refused with what is expected", "[simulator]") {
    for (const auto* text :
         {"",
          "0",
          "-5",
          "nan",
          "1e9",
          "12x",
          "uniform:5",
          "uniform:7:3",
          "uniform:0:3",
          "lognormal:100",
          "lognormal:100:-1",
          "lognormal:0:1",
          "lognormal:1:1:1:1",
          "normal:3"}) {
        INFO(text);
        const auto read = read_lengths(text);
        REQUIRE(read.has_error());
        CHECK(read.error().detail.find("expected a number") != std::string::npos);
    }
    CHECK(read_lengths("1").has_value());
    CHECK(read_lengths("uniform:3:3").has_value());
}
