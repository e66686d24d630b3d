#include "truffula/error/error.hpp"

#include <boost/system/system_error.hpp>
#include <catch2/catch.hpp>

using namespace truffula;

TEST_CASE("error: a client reads the prefix of the table, then the detail", "[error]") {
    CHECK(client_message({errc::validation, "x"}) == "Input validation error: x");
    CHECK(
        client_message({errc::rpc_failed, "boom"}) ==
        "Request failed during generation: Server error: boom");
    CHECK(
        client_message({errc::template_error, "template not found"}) ==
        "Failed applying chat template to inputs: template not found");
    CHECK(
        client_message({errc::missing_template_variable, "guideline"}) ==
        "Missing template vatiable: guideline");
    CHECK(client_message({errc::tool_error, "x"}) == "Tool error: x");
    CHECK(client_message({errc::overloaded, "Model is overloaded"}) == "Model is overloaded");
    CHECK(
        client_message({errc::connection, "no route"}) ==
        "Request failed during generation: Could not connect to LoRAX server: no route");
}

TEST_CASE("error: statuses and wire names are those of contract section 7", "[error]") {
    const auto row = [](errc e) { return describe(e); };
    CHECK(row(errc::validation).http_status == 422);
    CHECK(row(errc::overloaded).http_status == 429);
    CHECK(row(errc::generation).http_status == 424);
    CHECK(row(errc::incomplete_generation).http_status == 500);
    CHECK(row(errc::unhealthy).http_status == 503);
    CHECK(row(errc::unhealthy).wire_name == "healthcheck");
    CHECK(row(errc::timeout).http_status == 408);
    CHECK(row(errc::no_tokenizer).wire_name == "no fast tokenizer");
    for (const auto e : {errc::template_error, errc::missing_template_variable, errc::tool_error}) {
        CHECK(row(e).http_status == 422);
    }
    CHECK(row(errc::template_error).wire_name == "template_error");
    CHECK(row(errc::missing_template_variable).wire_name == "missing_template_variable");
    CHECK(row(errc::tool_error).wire_name == "tool_error");
}

TEST_CASE("error: a code of another library counts as a failed generation", "[error]") {
    const auto row = describe(make_error_code(boost::system::errc::broken_pipe));
    CHECK(row.http_status == 424);
}

TEST_CASE("error: value() of a failed result throws its code", "[error]") {
    const result<int> failed = error{errc::stopped, "gone"};
    CHECK_THROWS_AS(failed.value(), boost::system::system_error);
}
