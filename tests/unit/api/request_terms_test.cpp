#include "truffula/api/request_terms.hpp"

#include "support/run_coro.hpp"

#include <catch2/catch.hpp>

using namespace truffula;
using namespace std::chrono_literals;

namespace {

result<api::request_terms> terms(std::string name, std::string value) {
    http::request from;
    from.received = std::chrono::steady_clock::time_point{1h};
    from.headers.emplace_back(std::move(name), std::move(value));
    return api::read_terms(from);
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("request terms: without headers there is no deadline, and nobody waits for it", "[api]") {
    const auto none = api::read_terms({});
    REQUIRE(none);
    CHECK_FALSE(none->deadline);
    CHECK(none->priority == inference::priority::interactive);
}

TEST_CASE("request terms: the deadline counts from the arrival", "[api]") {
    const std::chrono::steady_clock::time_point arrival{1h};
    CHECK(terms("x-truffula-deadline-ms", "1")->deadline == arrival + 1ms);
    CHECK(terms("x-truffula-deadline-ms", "86400000")->deadline == arrival + 24h);
}

TEST_CASE("request terms: other deadlines are refused with what is allowed", "[api]") {
    for (const auto* bad : {"", "0", "-5", "86400001", "99999999999999999999", "1.5", "1s", " 1"}) {
        INFO(bad);
        const auto got = terms("x-truffula-deadline-ms", bad);
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::validation);
        CHECK(has(got.error().detail, "1 to 86400000. Given: '" + std::string{bad} + "'"));
    }
    CHECK(has(terms("x-truffula-deadline-ms", "0").error().detail, "in the past"));
    const auto wild = terms("x-truffula-deadline-ms", std::string(1000, '\x01')).error().detail;
    CHECK(has(wild, "'????"));
    CHECK(wild.size() < 300);
}

TEST_CASE("request terms: a priority is one of two", "[api]") {
    CHECK(terms("x-truffula-priority", "batch")->priority == inference::priority::batch);
    CHECK(
        terms("x-truffula-priority", "interactive")->priority == inference::priority::interactive);
    const auto got = terms("x-truffula-priority", "Batch");
    REQUIRE_FALSE(got);
    CHECK(has(got.error().detail, "one of interactive, batch. Given: 'Batch'"));
}

TEST_CASE("request terms: of a wrong value forty characters are shown", "[api]") {
    const auto words = [](const std::string& value) {
        return terms("x-truffula-priority", value).error().detail;
    };
    const std::string forty(40, 'x');
    CHECK(has(words(forty), "Given: '" + forty + "'"));
    CHECK(has(words(forty + "y"), "Given: '" + forty + "...'"));
    CHECK(has(words("a\x7f~"), "Given: 'a?~'"));
}

TEST_CASE("request terms: a bearer token is what follows the scheme", "[api]") {
    const auto token = [](std::string value) {
        http::request from;
        from.headers.emplace_back("authorization", std::move(value));
        return api::bearer_token(from);
    };
    CHECK(token("Bearer abc") == "abc");
    CHECK_FALSE(token("Basic abc"));
    CHECK_FALSE(token("Bearer"));
    CHECK_FALSE(api::bearer_token({}));
}
