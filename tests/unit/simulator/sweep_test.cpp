#include "simulator/sweep.hpp"

#include "simulator/goals.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <sstream>

using namespace truffula;
using namespace truffula::simulator;

namespace {

sweep_point point(double tokens_per_second, double ttft_p99, std::size_t failed = 0) {
    sweep_point p;
    p.figures.tokens_per_second = tokens_per_second;
    p.figures.ttft.p99 = ttft_p99;
    p.figures.failed = failed;
    return p;
}

}  // namespace

TEST_CASE("overlay: one's own options win, each once", "[simulator]") {
    const std::vector<router_option> base{{"policy", "fifo"}, {"max_batch_size", "4"}};
    const auto both = overlaid(base, {{"max_batch_size", "8"}});
    CHECK(both == std::vector<router_option>{{"policy", "fifo"}, {"max_batch_size", "8"}});
    CHECK(read_settings("", both)->batching.max_batch_size == 8U);
}

TEST_CASE("sweep: all combinations are tried, varied options win over fixed ones", "[simulator]") {
    const auto points = combine(
        "",
        {{"max_batch_size", "7"}, {"max_active_adapters", "3"}},
        {{"max_batch_size", {"1", "2"}}, {"max_batch_prefill_tokens", {"2048", "4096", "8192"}}});
    REQUIRE(points.has_value());
    REQUIRE(points->size() == 6);
    const auto& last = points->back();
    CHECK(last.chosen.front() == router_option{"max_batch_size", "2"});
    CHECK(last.settings.batching.max_batch_size == 2U);
    CHECK(last.settings.batching.max_batch_prefill_tokens == 8192);
    CHECK(last.settings.adapters.max_active_adapters == 3);
}

TEST_CASE(
    "sweep: a value that the router would refuse is told with its combination", "[simulator]") {
    const auto points = combine("", {}, {{"max_batch_size", {"1", "-1"}}});
    REQUIRE(points.has_error());
    CHECK(points.error().detail.starts_with("max_batch_size=-1: "));
    CHECK(combine("", {}, {{"no_such_option", {"1"}}}).has_error());
}

TEST_CASE("sweep: more than 10,000 combinations are refused", "[simulator]") {
    const std::vector<std::string> hundred(100, "1");
    CHECK(
        combine(
            "", {}, {{"max_batch_size", hundred}, {"max_overtakes", hundred}, {"port", {"1", "2"}}})
            .has_error());
}

TEST_CASE("sweep: the front has no point that another beats", "[simulator]") {
    std::vector points{
        point(100, 50),
        point(90, 40),
        point(90, 60),     // beaten by both
        point(100, 50),    // as good as the first
        point(200, 10, 1)  // some requests failed
    };
    mark_best(points);
    CHECK(points[0].is_best);
    CHECK(points[1].is_best);
    CHECK_FALSE(points[2].is_best);
    CHECK(points[3].is_best);
    CHECK_FALSE(points[4].is_best);
}

TEST_CASE("sweep: reports tell every point and show the front", "[simulator]") {
    auto points = *combine("", settings_w(true), {{"max_batch_size", {"2", "16"}}});
    arrival_options few;
    few.rate = 10;
    few.seconds = 5;
    scenario what;
    run_sweep(points, {make_arrivals(few, 1)}, what, {});
    CHECK(points[1].figures.ttft.p99 < points[0].figures.ttft.p99);
    CHECK(points[1].is_best);
    const auto all = nlohmann::json::parse(sweep_json(points));
    REQUIRE(all.at("points").size() == 2);
    CHECK(all.at("points")[1].at("settings").at("max_batch_size") == "16");
    CHECK(all.at("points")[1].at("is_on_front") == true);
    std::ostringstream text;
    write_sweep(text, points);
    CHECK(text.str().find("2 combinations") != std::string::npos);
    CHECK(text.str().find("max_batch_size") != std::string::npos);
}
