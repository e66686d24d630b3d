#include "simulator/trace.hpp"

#include "simulator/arrivals.hpp"

#include <catch2/catch.hpp>

#include <sstream>

using namespace truffula;
using namespace truffula::simulator;

namespace {

result<trace> read(const std::string& text, on_bad_line bad = on_bad_line::stop) {
    std::istringstream from{text};
    return read_trace(from, "t.csv", bad);
}

constexpr auto header = "time_s,adapter,tenant,input_tokens,output_tokens\n";

}  // namespace

TEST_CASE("trace: what was written is read back", "[simulator]") {
    arrival_options o;
    o.rate = 50;
    o.tenants = {{"a,\"b\"", 1}, {"c", 2}};
    o.base_share = 0.2;
    o.batch_share = 0.5;
    const auto w = make_arrivals(o, 3);
    std::stringstream text;
    write_trace(text, w);
    const auto back = read_trace(text, "t", on_bad_line::stop);
    REQUIRE(back.has_value());
    REQUIRE(back->requests.arrivals.size() == w.arrivals.size());
    for (std::size_t i = 0; i < w.arrivals.size(); ++i) {
        const auto& a = w.arrivals[i];
        const auto& b = back->requests.arrivals[i];
        REQUIRE(a.at == b.at);
        REQUIRE(w.adapters[a.adapter] == back->requests.adapters[b.adapter]);
        REQUIRE(w.tenants[a.tenant] == back->requests.tenants[b.tenant]);
        REQUIRE(a.input_tokens == b.input_tokens);
        REQUIRE(a.output_tokens == b.output_tokens);
        REQUIRE(a.is_batch == b.is_batch);
    }
}

TEST_CASE(
    "trace: columns stand in any order, others are ignored, lines are sorted", "[simulator]") {
    const auto t = read(
        "output_tokens,model,time_s,input_tokens,adapter\r\n"
        "5,x,2.5,10,sql\r\n"
        "\r\n"
        "6,y,1,11,\r\n");
    REQUIRE(t.has_value());
    const auto& w = t->requests;
    REQUIRE(w.arrivals.size() == 2);
    CHECK(w.arrivals[0].at == std::chrono::seconds{1});
    CHECK(w.arrivals[0].adapter == 0);
    CHECK(w.adapters[w.arrivals[1].adapter] == "sql");
    CHECK(w.tenants[w.arrivals[1].tenant] == "default");
}

TEST_CASE("trace: JSON lines are read, too", "[simulator]") {
    const auto t = read(
        R"({"time_s": 0.25, "adapter": "sql", "tenant": "acme", "input_tokens": 3, "output_tokens": 4})"
        "\n"
        R"({"time_s": 1, "adapter": "", "input_tokens": 3, "output_tokens": 1, "priority": "batch"})");
    REQUIRE(t.has_value());
    REQUIRE(t->requests.arrivals.size() == 2);
    CHECK(t->requests.tenants[t->requests.arrivals[0].tenant] == "acme");
    CHECK(t->requests.arrivals[1].is_batch);
}

TEST_CASE("trace: a bad line stops with its number and the reason", "[simulator]") {
    const std::pair<const char*, const char*> wrong[]{
        {"x,a,t,1,1", "time_s: 'x'"},
        {"-1,a,t,1,1", "time_s: '-1'"},
        {"nan,a,t,1,1", "time_s: 'nan'"},
        {"1e99,a,t,1,1", "time_s"},
        {"1,a,t,0,1", "input_tokens: '0'"},
        {"1,a,t,1.5,1", "input_tokens: '1.5'"},
        {"1,a,t,1,1000001", "output_tokens: '1000001'"},
        {"1,a,t,1", "expected 5 cells"},
        {"1,\"a,t,1,1", "a quote is not closed"},
    };
    for (const auto& [line, why] : wrong) {
        INFO(line);
        const auto t = read(std::string{header} + "0,a,t,1,1\n" + line + "\n2,a,t,1,1\n");
        REQUIRE(t.has_error());
        CHECK(t.error().detail.starts_with("t.csv:3: "));
        CHECK(t.error().detail.find(why) != std::string::npos);
    }
    CHECK(read(std::string{header} + "1,a,t,1,1000000\n").has_value());
}

TEST_CASE("trace: bad lines are left out and told when that is asked for", "[simulator]") {
    const auto t = read(
        std::string{header} + "0,a,t,1,1\nrubbish\n1,a,t,1,1\n2,a,t,-1,1\n", on_bad_line::skip);
    REQUIRE(t.has_value());
    CHECK(t->requests.arrivals.size() == 2);
    REQUIRE(t->skipped.size() == 2);
    CHECK(t->skipped[0].number == 3);
    CHECK(t->skipped[1].number == 5);
}

TEST_CASE("trace: bad JSON, a bad priority and missing keys are told", "[simulator]") {
    CHECK(
        read("{\"time_s\": 1").error().detail.find("expected a JSON object") != std::string::npos);
    CHECK(
        read("{\"time_s\": 1}").error().detail.find("input_tokens is missing") !=
        std::string::npos);
    const auto t = read(
        R"({"time_s": 1, "adapter": "", "input_tokens": 3, "output_tokens": 1, "priority": "x"})");
    CHECK(t.error().detail.find("interactive or batch") != std::string::npos);
    const auto lines =
        read(R"({"time_s": 1, "adapter": "a\nb", "input_tokens": 3, "output_tokens": 1})");
    CHECK(lines.error().detail.find("without control characters") != std::string::npos);
}

TEST_CASE("trace: a byte order mark and empty lines come before the names", "[simulator]") {
    const auto t = read("\xef\xbb\xbf" + std::string{header} + "0,a,t,10,5\n");
    REQUIRE(t.has_value());
    CHECK(t->requests.arrivals.size() == 1);
    const auto later = read(std::string{"\n\r\n"} + header + "0,a,t,10,5\n");
    REQUIRE(later.has_value());
    CHECK(later->requests.arrivals.size() == 1);
    const auto none = read("\n0,a,t,10,5\n");
    REQUIRE(none.has_error());
    CHECK(none.error().detail.starts_with("t.csv:2: expected JSON lines, or names"));
}

TEST_CASE("trace: a file without column names or requests is refused", "[simulator]") {
    CHECK(read("1,2,3\n").error().detail.find("names of columns") != std::string::npos);
    CHECK(read("").error().detail == "t.csv: no request in it");
    CHECK(read(header).error().detail == "t.csv: no request in it");
}
