#include "truffula/api/answers.hpp"

#include "truffula/api/json_text.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>

using namespace truffula;

namespace {

std::string shown(float value) {
    std::string out;
    api::append_float(out, value);
    return out;
}

std::string quoted(std::string_view text) {
    std::string out;
    api::append_string(out, text);
    return out;
}

inference::token word(const char* text, float logprob) {
    inference::token t;
    t.id = 7;
    t.text = text;
    t.logprob = logprob;
    return t;
}

api::collected_answer answer_of(std::vector<float> logprobs) {
    api::collected_answer a;
    for (const auto p : logprobs) {
        inference::step s;
        s.tokens = {word(" a", p)};
        a.add(std::move(s));
    }
    a.end.text = "whole";
    a.end.generated_tokens = static_cast<std::uint32_t>(logprobs.size());
    return a;
}

}  // namespace

TEST_CASE("answers: floats as LoRAX writes them", "[api]") {
    CHECK(shown(1.0F) == "1.0");
    CHECK(shown(-0.34F) == "-0.34");
    CHECK(shown(0.0F) == "0.0");
    CHECK(shown(-3.6239624e-5F) == "-0.000036239624");
    CHECK(shown(1e-7F) == "1e-7");
    CHECK(shown(1e13F) == "1e13");
    CHECK(shown(16777216.0F) == "16777216.0");
    CHECK(shown(std::numeric_limits<float>::quiet_NaN()) == "null");
    CHECK(shown(-std::numeric_limits<float>::infinity()) == "null");
}

TEST_CASE("answers: every float reads back as itself", "[api]") {
    std::uint32_t bits = 12345;
    for (int i = 0; i < 50'000; ++i) {
        bits = bits * 1'664'525U + 1'013'904'223U;
        float value = 0;
        std::memcpy(&value, &bits, sizeof value);
        if (!std::isfinite(value)) continue;
        const auto text = shown(value);
        INFO(text);
        REQUIRE(std::strtof(text.c_str(), nullptr) == Approx(value).epsilon(0));
    }
}

TEST_CASE("answers: strings with anything in them", "[api]") {
    CHECK(quoted("a\"b\\c\n\t\x01é🌲/") == "\"a\\\"b\\\\c\\n\\t\\u0001é🌲/\"");
    CHECK(quoted("bad \xff byte") == "\"bad \xEF\xBF\xBD byte\"");
    for (const std::string_view cut : {"\xf0\x9f\x8c", "\xed\xa0\x80", "\xc0\xaf"}) {
        CHECK_NOTHROW(nlohmann::json::parse(quoted(cut)));
    }
}

TEST_CASE("answers: errors by their kind (contract section 7)", "[api]") {
    const auto check = [](errc code, int status, const char* name) {
        const auto r = api::error_response({code, "why"});
        CHECK(r.status == status);
        const auto j = nlohmann::ordered_json::parse(r.body);
        CHECK(j["error_type"] == name);
        CHECK(j.begin().key() == "error");
        return j["error"].get<std::string>();
    };
    CHECK(
        check(errc::rpc_failed, 424, "generation") ==
        "Request failed during generation: Server error: why");
    CHECK(check(errc::overloaded, 429, "overloaded") == "why");
    CHECK(check(errc::validation, 422, "validation") == "Input validation error: why");
    CHECK(check(errc::incomplete_generation, 500, "incomplete_generation") == "why");
    CHECK(check(errc::unhealthy, 503, "healthcheck") == "why");
    CHECK(check(errc::no_tokenizer, 404, "no fast tokenizer") == "why");
}

TEST_CASE("answers: the event of a token, byte for byte", "[api]") {
    std::string out;
    api::append_token_event(out, word(" tree", -0.5F));
    CHECK(
        out ==
        "data: {\"token\":{\"id\":7,\"text\":\" tree\",\"logprob\":-0.5,\"special\":false,"
        "\"skipped\":false},\"generated_text\":null,\"details\":null}\n\n");
}

TEST_CASE("answers: the best sequence has the highest mean, the first on ties", "[api]") {
    std::vector<api::collected_answer> all{
        answer_of({-1.0F, -1.0F}), answer_of({-0.5F}), answer_of({-0.5F}), answer_of({})};
    CHECK(api::best_sequence(all) == 1);
    all.resize(1);
    CHECK(api::best_sequence(all) == 0);
}

TEST_CASE("answers: a step that starts over forgets what came before", "[api]") {
    auto a = answer_of({-1.0F, -1.0F});
    inference::step over;
    over.restarted = true;
    a.add(std::move(over));
    CHECK(a.tokens.empty());
}

TEST_CASE("answers: body with and without details", "[api]") {
    const std::vector<api::collected_answer> one{answer_of({-1.0F})};
    std::string plain;
    api::append_generate_body(plain, one, 0, {});
    CHECK(plain == R"({"generated_text":"whole"})");
    std::string full;
    api::append_generate_body(
        full, one, 0, {.details = true, .text_prefix = "p ", .prompt_tokens = 3});
    const auto j = nlohmann::json::parse(full);
    CHECK(j["generated_text"] == "p whole");
    CHECK(j["details"]["prompt_tokens"] == 3);
    CHECK(j["details"]["finish_reason"] == "length");
    CHECK(j["details"]["tokens"].size() == 1);
    CHECK(j["details"]["seed"].is_null());
}
