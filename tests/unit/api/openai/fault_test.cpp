#include "truffula/api/openai/fault.hpp"

#include <catch2/catch.hpp>

using namespace truffula;
using namespace truffula::api;

namespace {

std::string text_of(const openai::fault& f) {
    std::string out;
    openai::append_fault(out, f);
    return out;
}

}  // namespace

TEST_CASE("openai fault: a refused parameter is named as the client knows it", "[api][openai]") {
    constexpr openai::renamed names[]{{"inputs", "prompt"}, {"max_new_tokens", "max_tokens"}};
    const error why{errc::too_long, "`inputs` tokens + `max_new_tokens` must be <= 5. `x"};
    const auto f = openai::describe_fault(why, names);
    CHECK(f.status == 400);
    CHECK(
        text_of(f) ==
        R"({"error":{"message":"`prompt` tokens + `max_tokens` must be <= 5. `x",)"
        R"("type":"invalid_request_error","param":"prompt","code":"context_length_exceeded"}})");
}

TEST_CASE("openai fault: each kind of error has OpenAI's status", "[api][openai]") {
    const auto status = [](errc code) { return openai::describe_fault({code, "x"}).status; };
    CHECK(status(errc::validation) == 400);
    CHECK(status(errc::unknown_model) == 404);
    CHECK(status(errc::no_adapter) == 404);
    CHECK(status(errc::overloaded) == 429);
    CHECK(status(errc::timeout) == 408);
    CHECK(status(errc::rpc_failed) == 500);
    CHECK(status(errc::incomplete_generation) == 500);
    CHECK(status(errc::connection) == 503);
    CHECK(status(errc::shutting_down) == 503);
    CHECK(openai::describe_fault({errc::shutting_down, "x"}).close);
    CHECK(openai::describe_fault({errc::unknown_model, "x"}).param == "model");
    CHECK(
        text_of(openai::describe_fault({errc::rpc_failed, "boom"})) ==
        R"({"error":{"message":"Request failed during generation: Server error: boom",)"
        R"("type":"server_error","param":null,"code":null}})");
    const boost::system::error_code foreign{5, boost::system::system_category()};
    CHECK(openai::describe_fault(error{foreign, "x"}).status == 500);
}

TEST_CASE("openai fault: a body that cannot be read", "[api][openai]") {
    const auto f = openai::describe_fault(rejection{422, "long", "a.b[1]", "expected a string"});
    CHECK(f.status == 400);
    CHECK(f.param == "a.b[1]");
    CHECK(f.message == "`a.b[1]`: expected a string");
    const auto broken = openai::describe_fault(rejection{400, "long", {}, "no end"});
    CHECK(broken.status == 400);
    CHECK(broken.code == "invalid_json");
    CHECK(openai::describe_fault(wrong_content_type()).status == 415);
    const auto lacks =
        openai::describe_fault(rejection{422, "long", "a", "missing field `b`", "b"});
    CHECK(lacks.status == 400);
    CHECK(lacks.param == "a.b");
    CHECK(lacks.message == "`a.b` is missing");
    CHECK(lacks.code == "missing_required_parameter");
}

TEST_CASE("openai fault: what the server refuses below /v1", "[api][openai]") {
    CHECK_FALSE(openai::describe_refusal("/generate", 404, ""));
    const auto lost = openai::describe_refusal("/v1/nothing", 404, "");
    REQUIRE(lost);
    CHECK(lost->status == 404);
    CHECK(lost->body.find("\"code\":\"unknown_url\"") != std::string::npos);
    const auto big = openai::describe_refusal("/v1/completions", 413, "too big");
    REQUIRE(big);
    CHECK(big->body.find("\"message\":\"too big\"") != std::string::npos);
    CHECK(openai::describe_refusal("/v1/models", 405, "")->status == 405);
}
