#include "simulator/goals.hpp"
#include "simulator/report.hpp"
#include "simulator/svg.hpp"

#include <catch2/catch.hpp>

#include <sstream>
#include <string>

using namespace truffula::simulator;

namespace {

/// Numbers that are none, where numbers stand: in attributes, lists of points and texts.
bool has_holes(const std::string& html) {
    for (const auto* hole : {"\"nan", "\"-nan", "nan,", ",nan", ">nan", "\"inf", "inf,", ">inf"}) {
        if (html.find(hole) != std::string::npos) return true;
    }
    return false;
}

}  // namespace

TEST_CASE("HTML report: names cannot bring markup in, and no other host is asked", "[simulator]") {
    auto w = make_arrivals(workload_w(20), 1);
    w.arrivals.resize(100);
    w.adapters[1] = "<script>alert(1)</script>&\"";
    w.tenants[0] = "<b>";
    w.tenants.emplace_back("other");
    w.arrivals[0].tenant = 1;
    scenario s;
    s.settings = *read_settings("", settings_w(true));
    const auto happened = simulate(w, s);
    const auto figures = summarise(w, happened, s.costs);
    std::ostringstream page;
    write_html(page, {"a <title>", w, happened, figures});
    const auto html = page.str();
    CHECK(html.find("<script") == std::string::npos);
    CHECK(html.find("<b>&lt;") == std::string::npos);
    CHECK(html.find("a &lt;title&gt;") != std::string::npos);
    CHECK(html.find("&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;") != std::string::npos);
    for (const auto* outside : {"http:", "https:", "src=", "href=", "url(", "@import"}) {
        INFO(outside);
        CHECK(html.find(outside) == std::string::npos);
    }
    for (const auto* plot :
         {"Queue", "Batch size", "by adapter", "Adapters on the shards", "Tenants"}) {
        INFO(plot);
        CHECK(html.find(plot) != std::string::npos);
    }
    CHECK_FALSE(has_holes(html));
}

TEST_CASE("HTML report: a simulation of one request has plots without holes", "[simulator]") {
    workload w;
    w.arrivals.push_back({std::chrono::seconds{0}, 0, 0, 1, 1, false});
    scenario s;
    s.settings = *read_settings("", {});
    const auto happened = simulate(w, s);
    std::ostringstream page;
    write_html(page, {"one", w, happened, summarise(w, happened, s.costs)});
    CHECK_FALSE(has_holes(page.str()));
}

TEST_CASE("HTML report: numbers keep three digits that count", "[simulator]") {
    CHECK(show_number(0) == "0");
    CHECK(show_number(0.12345) == "0.123");
    CHECK(show_number(12.345) == "12.3");
    CHECK(show_number(123456.7) == "123457");
}
