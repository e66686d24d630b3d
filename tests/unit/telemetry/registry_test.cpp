#include "truffula/telemetry/registry.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace truffula;

namespace {

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("metrics: bounds as the dashboards know them", "[telemetry]") {
    const auto durations = telemetry::duration_buckets();
    REQUIRE(durations.size() == 35);
    CHECK(durations.front() == Approx(0.00015));
    CHECK(durations.back() == Approx(145.6109).epsilon(0.001));
    const auto equal = telemetry::equal_buckets(2048);
    REQUIRE(equal.size() == 100);
    CHECK(equal.front() == Approx(20.48));
    CHECK(equal.back() == Approx(2048));
}

TEST_CASE("metrics: a series appears with its first sample", "[telemetry]") {
    telemetry::registry all;
    auto& failures = all.counter("lorax_request_failure", {{"err", "overloaded"}});
    auto& other = all.counter("lorax_request_failure", {{"err", "validation"}});
    auto& times = all.histogram("lorax_request_duration", telemetry::duration_buckets());
    auto& skipped = all.summary("lorax_request_skipped_tokens");
    CHECK(all.text().empty());
    other.Increment();
    CHECK(has(all.text(), "lorax_request_failure{err=\"validation\"} 1"));
    CHECK_FALSE(has(all.text(), "overloaded"));
    failures.Increment();
    times.Observe(0.5);
    for (std::uint64_t i = 1; i <= 100; ++i) skipped.observe(i);
    const auto text = all.text();
    CHECK_FALSE(has(text, "# HELP"));
    CHECK(has(text, "# TYPE lorax_request_duration histogram"));
    CHECK(has(text, "lorax_request_duration_count 1"));
    CHECK(has(text, "lorax_request_skipped_tokens{quantile=\"0\"}"));
    CHECK(has(text, "lorax_request_skipped_tokens{quantile=\"1\"}"));
    CHECK(has(text, "lorax_request_skipped_tokens{quantile=\"0.999\"}"));
}

TEST_CASE("metrics: the same name and labels are the same metric", "[telemetry]") {
    telemetry::registry all;
    all.counter("a", {{"x", "1"}}).Increment();
    all.counter("a", {{"x", "1"}}).Increment();
    CHECK(has(all.text(), "a{x=\"1\"} 2"));
}

TEST_CASE("metrics: as JSON", "[telemetry]") {
    telemetry::registry all;
    all.counter("plain").Increment(3);
    all.counter("labelled", {{"err", "validation"}}).Increment();
    all.histogram("times", {0.5, 1.0}).Observe(0.7);
    all.summary("skipped").observe(7);
    const auto j = nlohmann::json::parse(all.json());
    CHECK(j["plain"] == R"({"type":"counter","data":[{"key":"","value":3.0}]})"_json);
    CHECK(j["labelled"]["data"][0]["key"] == R"(labelled{err="validation"})");
    const auto& times = j["times"]["data"];
    REQUIRE(times.size() == 5);  // two bounds, +Inf, sum, count
    CHECK(times[1]["key"] == R"(times{le="1.0"})");
    CHECK(times[2]["key"] == R"(times{le="+Inf"})");
    CHECK(times[3] == R"({"key":"sum","value":0.7})"_json);
    CHECK(times[4] == R"({"key":"count","value":1.0})"_json);
    CHECK(j["skipped"]["data"][0]["value"] == 7.0);
}
