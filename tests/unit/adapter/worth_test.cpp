#include "truffula/adapter/worth.hpp"

#include <catch2/catch.hpp>

#include <cmath>

using namespace std::chrono_literals;
using truffula::adapter::worth;

namespace {

const worth::time_point start{1h};

worth loaded_in(worth::duration d) {
    worth w;
    w.used(start);
    w.loaded(d);
    return w;
}

}  // namespace

TEST_CASE("worth: what is asked for more often is worth more", "[adapter]") {
    auto often = loaded_in(20ms);
    auto seldom = loaded_in(20ms);
    often.used(start);
    CHECK(often.rank(100) > seldom.rank(100));
}

TEST_CASE("worth: what was asked for later is worth more", "[adapter]") {
    auto late = loaded_in(20ms);
    auto early = loaded_in(20ms);
    early.used(start);
    late.used(start + 1s);
    CHECK(late.rank(100) > early.rank(100));
}

TEST_CASE("worth: after its half-life a use counts half", "[adapter]") {
    auto old = loaded_in(20ms);
    for (int i = 0; i < 3; ++i) old.used(start);  // four in all
    worth two;
    two.loaded(20ms);
    two.used(start + worth::half_life);
    two.used(start + worth::half_life);
    CHECK(old.rank(100) == Approx(two.rank(100)));
}

TEST_CASE("worth: twice the load time is worth as much as half the memory", "[adapter]") {
    const auto quick = loaded_in(20ms);
    const auto slow = loaded_in(40ms);
    CHECK(slow.rank(100) > quick.rank(100));
    CHECK(slow.rank(200) == Approx(quick.rank(100)));
    CHECK(quick.rank(50) > quick.rank(100));
}

TEST_CASE("worth: without memory, load time or use there is a rank all the same", "[adapter]") {
    CHECK(std::isfinite(worth{}.rank(0)));
    CHECK(loaded_in(0ms).rank(1) == loaded_in(1ms).rank(1));
}
