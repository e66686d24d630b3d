#include "truffula/api/openai/text_writer.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <limits>
#include <sstream>

using namespace truffula;
using namespace truffula::api;
using nlohmann::json;

namespace {

inference::token token(std::string text, float logprob = -0.5F) {
    inference::token t;
    t.text = std::move(text);
    t.logprob = logprob;
    return t;
}

inference::step step_of(std::vector<inference::token> tokens) {
    inference::step s;
    s.tokens = std::move(tokens);
    return s;
}

inference::step ended(inference::step s, inference::finish_reason why, std::string text) {
    s.finished.emplace();
    s.finished->reason = why;
    s.finished->text = std::move(text);
    s.finished->generated_tokens = 3;
    return s;
}

/// One prompt, one stop text, and the log-probabilities of what is taken.
openai::text_plan stopped_plan() {
    openai::text_plan plan;
    plan.prompts.push_back({"hi", std::nullopt});
    plan.parameters.stop = {"END"};
    plan.logprobs = 0;
    return plan;
}

std::unique_ptr<openai::text_writer> writer(const openai::text_plan& plan) {
    return openai::make_completion_writer(plan, {"cmpl-1", 7, "m", "fp"}, {});
}

std::vector<json> events(const std::string& stream) {
    std::vector<json> all;
    std::istringstream lines{stream};
    for (std::string line; std::getline(lines, line);) {
        if (line.empty()) continue;
        REQUIRE(line.starts_with("data: "));
        const auto data = line.substr(6);
        all.push_back(data == "[DONE]" ? json("[DONE]") : json::parse(data));
    }
    return all;
}

std::string text_of(const json& event) {
    return event["choices"][0]["text"];
}

using why = inference::finish_reason;

const std::vector<std::uint32_t> lengths{2, 2};

}  // namespace

TEST_CASE("completion events: the bytes of a token", "[api][openai]") {
    openai::text_plan plan;
    plan.prompts.push_back({"hi", std::nullopt});
    std::string out;
    (void)writer(plan)->step(out, 0, step_of({token("a\"")}));
    CHECK(
        out == R"(data: {"id":"cmpl-1","object":"text_completion","created":7,"model":"m",)"
               R"("system_fingerprint":"fp","choices":[{"index":0,"text":"a\"","logprobs":null,)"
               R"("finish_reason":null}]})"
               "\n\n");
}

TEST_CASE("completion events: echo, tokens, end, usage, done", "[api][openai]") {
    openai::text_plan plan;
    plan.prompts.push_back({"hi", std::nullopt});
    plan.echo = true;
    plan.shows_usage = true;
    const auto w = writer(plan);
    std::string out;
    w->begin(out, lengths);
    (void)w->step(out, 0, step_of({token(" a")}));
    auto last = step_of({token(" b"), token("</s>")});
    last.tokens.back().special = true;
    (void)w->step(out, 0, ended(last, why::eos_token, " a b"));
    w->end(out, {2, 3});
    const auto all = events(out);
    REQUIRE(all.size() == 6);
    CHECK(text_of(all[0]) == "hi");
    CHECK(text_of(all[1]) == " a");
    CHECK(all[1]["usage"].is_null());
    CHECK(text_of(all[2]) == " b");
    CHECK(text_of(all[3]).empty());
    CHECK(all[3]["choices"][0]["finish_reason"] == "stop");
    CHECK(all[4]["choices"].empty());
    CHECK(
        all[4]["usage"] ==
        json{{"prompt_tokens", 2}, {"completion_tokens", 3}, {"total_tokens", 5}});
    CHECK(all[5] == "[DONE]");
}

TEST_CASE("completion events: the usage so far, of each choice", "[api][openai]") {
    openai::text_plan plan;
    plan.prompts = {{"hi", std::nullopt}, {"you", std::nullopt}};
    plan.shows_usage = true;
    plan.shows_each_usage = true;
    const auto w = writer(plan);
    std::string out;
    w->begin(out, lengths);
    auto counted = step_of({token("a"), token("b")});
    counted.prefill_length = 7;
    (void)w->step(out, 0, counted);
    (void)w->step(out, 1, step_of({token("c")}));
    w->restart(1);
    (void)w->step(out, 1, ended(step_of({token("d")}), why::length, "d"));
    std::vector<std::pair<int, int>> used;
    for (const auto& e : events(out)) {
        used.emplace_back(e["usage"]["prompt_tokens"], e["usage"]["completion_tokens"]);
        CHECK(e["usage"]["total_tokens"] == used.back().first + used.back().second);
    }
    CHECK(used == std::vector<std::pair<int, int>>{{7, 1}, {7, 2}, {2, 1}, {2, 1}});
}

TEST_CASE("completion events: the stop text and its tokens are left out", "[api][openai]") {
    const auto plan = stopped_plan();
    const auto w = writer(plan);
    std::string out;
    (void)w->step(out, 0, step_of({token("aE")}));
    (void)w->step(out, 0, step_of({token("N")}));
    (void)w->step(out, 0, ended(step_of({token("D")}), why::stop_sequence, "aEND"));
    const auto all = events(out);
    REQUIRE(all.size() == 2);
    CHECK(text_of(all[0]) == "a");
    CHECK(all[0]["choices"][0]["logprobs"]["tokens"] == json{"aE"});
    CHECK(text_of(all[1]).empty());
    CHECK(all[1]["choices"][0]["logprobs"]["tokens"].empty());
    CHECK(all[1]["choices"][0]["finish_reason"] == "stop");
}

TEST_CASE("completion events: a choice that starts over shows nothing of before", "[api][openai]") {
    const auto plan = stopped_plan();
    const auto w = writer(plan);
    std::string out;
    w->begin(out, lengths);
    (void)w->step(out, 0, step_of({token("EN")}));
    CHECK(out.empty());
    w->restart(0);
    (void)w->step(out, 0, step_of({token("Done")}));
    const auto all = events(out);
    REQUIRE(all.size() == 1);
    CHECK(text_of(all[0]) == "Done");
    const auto& scores = all[0]["choices"][0]["logprobs"];
    CHECK(scores["tokens"] == json{"Done"});
    CHECK(scores["text_offset"] == json{0});
}

TEST_CASE("completion events: a token that begins the stop text is left out", "[api][openai]") {
    const auto plan = stopped_plan();
    const auto w = writer(plan);
    std::string out;
    (void)w->step(out, 0, step_of({token("a")}));
    (void)w->step(out, 0, step_of({token("EN")}));
    (void)w->step(out, 0, ended(step_of({token("D")}), why::stop_sequence, "aEND"));
    const auto all = events(out);
    REQUIRE(all.size() == 2);
    CHECK(all[0]["choices"][0]["logprobs"]["tokens"] == json{"a"});
    CHECK(all[1]["choices"][0]["logprobs"]["tokens"].empty());
}

TEST_CASE("completion events: a kept stop text does not cut off", "[api][openai]") {
    auto plan = stopped_plan();
    plan.keeps_stop = true;
    const auto w = writer(plan);
    std::string out;
    (void)w->step(out, 0, step_of({token("aEN")}));
    (void)w->step(out, 0, ended(step_of({token("D"), token("")}), why::stop_sequence, "aEND"));
    std::string text;
    json tokens = json::array();
    for (const auto& e : events(out)) {
        text += text_of(e);
        for (const auto& t : e["choices"][0]["logprobs"]["tokens"]) tokens.push_back(t);
    }
    CHECK(text == "aEND");
    CHECK(tokens == json{"aEN", "D", ""});
}

TEST_CASE("completion events: the likeliest tokens and the one taken", "[api][openai]") {
    openai::text_plan plan;
    plan.prompts.push_back({"hi", std::nullopt});
    auto t = token("x", -5.0F);
    t.alternatives = {{1, "y", -0.5F}, {2, "z", -1.0F}, {3, "x", -5.0F}};
    const auto top = [&](std::uint32_t most) {
        plan.logprobs = most;
        std::string out;
        (void)writer(plan)->step(out, 0, step_of({t}));
        const std::string name = "\"top_logprobs\":[";
        const auto from = out.find(name) + name.size();
        return out.substr(from, out.find(']', from) - from);
    };
    CHECK(top(0) == "null");
    CHECK(top(1) == R"({"y":-0.5,"x":-5.0})");
    CHECK(top(3) == R"({"y":-0.5,"z":-1.0,"x":-5.0})");
}

TEST_CASE(
    "completion events: the prompt's length is that of the choice's prompt", "[api][openai]") {
    openai::text_plan plan;
    plan.prompts = {{"hi", std::nullopt}, {"you", std::nullopt}};
    plan.n = 2;
    plan.shows_usage = true;
    plan.shows_each_usage = true;
    const auto w = writer(plan);
    std::string out;
    w->begin(out, std::vector<std::uint32_t>{2, 3});
    for (std::size_t i = 0; i < 4; ++i) (void)w->step(out, i, step_of({token("a")}));
    std::vector<int> prompts;
    for (const auto& e : events(out)) prompts.push_back(e["usage"]["prompt_tokens"]);
    CHECK(prompts == std::vector<int>{2, 2, 3, 3});
}

TEST_CASE("completion events: an error comes before the end marker", "[api][openai]") {
    openai::text_plan plan;
    plan.prompts.push_back({"hi", std::nullopt});
    std::string out;
    writer(plan)->fail(out, {errc::rpc_failed, "boom"});
    const auto all = events(out);
    REQUIRE(all.size() == 2);
    CHECK(all[0]["error"]["type"] == "server_error");
    CHECK(all[1] == "[DONE]");
}

TEST_CASE("completion body: choices of several prompts, scored", "[api][openai]") {
    openai::text_plan plan;
    plan.prompts = {{"é", std::nullopt}, {"q", std::nullopt}};
    plan.echo = true;
    plan.logprobs = 2;
    std::vector<collected_answer> answers(2);
    for (auto& a : answers) {
        a.prefill = {{5, "é", std::numeric_limits<float>::quiet_NaN()}};
        auto t = token("x", -0.25F);
        t.alternatives = {{1, "y", -0.1F}, {2, "x", -0.25F}, {3, "z", -3.0F}};
        a.tokens = {t};
        a.end.text = "x";
        a.end.reason = why::length;
    }
    const auto body = json::parse(*writer(plan)->body(answers, {2, 2}));
    REQUIRE(body["choices"].size() == 2);
    const auto& choice = body["choices"][0];
    CHECK(choice["text"] == "éx");
    CHECK(body["choices"][1]["text"] == "qx");
    CHECK(body["choices"][1]["index"] == 1);
    CHECK(choice["finish_reason"] == "length");
    const auto& scores = choice["logprobs"];
    CHECK(scores["tokens"] == json{"é", "x"});
    CHECK(scores["text_offset"] == json{0, 1});
    CHECK(scores["token_logprobs"][0].is_null());
    CHECK(scores["token_logprobs"][1] == -0.25);
    CHECK(scores["top_logprobs"][0].is_null());
    CHECK(scores["top_logprobs"][1].size() == 2);
    CHECK(body["usage"]["total_tokens"] == 4);
}

TEST_CASE("completion: without tokens asked for there is the prompt only", "[api][openai]") {
    openai::text_plan plan;
    plan.prompts.push_back({"hi", std::nullopt});
    plan.echo = true;
    plan.logprobs = 0;
    plan.drops_answer = true;
    plan.shows_usage = true;
    auto last = step_of({token("</s>")});
    last.prefill_length = 1;
    last.prefill_tokens = {{5, "hi", -0.5F}};
    const auto w = writer(plan);
    std::string out;
    w->begin(out, lengths);
    (void)w->step(out, 0, ended(last, why::eos_token, "</s>"));
    w->end(out, {1, 1});
    const auto all = events(out);
    REQUIRE(all.size() == 4);
    CHECK(text_of(all[0]) == "hi");
    CHECK(all[0]["choices"][0]["logprobs"]["tokens"] == json{"hi"});
    CHECK(text_of(all[1]).empty());
    CHECK(all[1]["choices"][0]["logprobs"]["tokens"].empty());
    CHECK(all[1]["choices"][0]["finish_reason"] == "length");
    CHECK(all[2]["usage"]["completion_tokens"] == 0);
    CHECK(all[2]["usage"]["total_tokens"] == 1);
    collected_answer answer;
    answer.add(std::move(last));
    answer.end.text = "</s>";
    const std::vector one{answer};
    const auto body = json::parse(*writer(plan)->body(one, {1, 1}));
    CHECK(text_of(body) == "hi");
    CHECK(body["choices"][0]["logprobs"]["tokens"] == json{"hi"});
    CHECK(body["choices"][0]["finish_reason"] == "length");
    CHECK(body["usage"]["completion_tokens"] == 0);
}

TEST_CASE(
    "completion events: the scored prompt comes once, whatever a shard counts", "[api][openai]") {
    openai::text_plan plan;
    plan.prompts = {{"hi", std::nullopt}, {"you", std::nullopt}};
    plan.echo = true;
    plan.logprobs = 0;
    const auto w = writer(plan);
    std::string out;
    w->begin(out, lengths);
    auto first = step_of({token(" a")});
    first.prefill_tokens = {{5, "hi", -0.5F}};  // a shard that pads tells no length
    (void)w->step(out, 0, first);
    auto other = step_of({token(" c")});
    other.prefill_tokens = {{6, "you", -0.5F}};
    other.prefill_length = 1;
    (void)w->step(out, 1, other);
    (void)w->step(out, 0, step_of({token(" b")}));
    const auto all = events(out);
    REQUIRE(all.size() == 5);
    CHECK(text_of(all[0]) == "hi");
    CHECK(all[0]["choices"][0]["logprobs"]["tokens"] == json{"hi"});
    CHECK(text_of(all[1]) == " a");
    CHECK(text_of(all[2]) == "you");
    CHECK(text_of(all[3]) == " c");
    CHECK(text_of(all[4]) == " b");
}

TEST_CASE("completion: tokens without text have their scores, too", "[api][openai]") {
    // A character that the length cuts off has no text yet.
    openai::text_plan plan;
    plan.prompts.push_back({"hi", std::nullopt});
    plan.logprobs = 0;
    const auto w = writer(plan);
    std::string out;
    (void)w->step(out, 0, step_of({token("a", -0.25F)}));
    (void)w->step(out, 0, ended(step_of({token("", -0.75F)}), why::length, "a"));
    const auto all = events(out);
    REQUIRE(all.size() == 2);
    CHECK(all[1]["choices"][0]["logprobs"]["token_logprobs"] == json{-0.75});
    collected_answer answer;
    answer.tokens = {token("a", -0.25F), token("", -0.75F)};
    answer.end.text = "a";
    const std::vector one{answer};
    const auto body = json::parse(*writer(plan)->body(one, {}));
    CHECK(body["choices"][0]["logprobs"]["token_logprobs"] == json{-0.25, -0.75});
}

TEST_CASE("completion body: the stop text is shown only if asked for", "[api][openai]") {
    openai::text_plan plan;
    plan.prompts.push_back({"hi", std::nullopt});
    plan.parameters.stop = {"END"};
    collected_answer answer;
    answer.end.text = "a END";
    answer.end.reason = why::stop_sequence;
    const std::vector one{answer};
    CHECK(json::parse(*writer(plan)->body(one, {}))["choices"][0]["text"] == "a ");
    plan.keeps_stop = true;
    CHECK(json::parse(*writer(plan)->body(one, {}))["choices"][0]["text"] == "a END");
}

TEST_CASE("lorax completion: null ids, filtered stops, usage in every event", "[api][openai]") {
    openai::text_plan plan;
    plan.prompts.push_back({"hi", std::nullopt});
    const auto w = openai::make_lorax_completion_writer(plan);
    std::string out;
    w->begin(out, lengths);
    auto first = step_of({token("a")});
    first.prefill_length = 4;
    (void)w->step(out, 0, first);
    (void)w->step(out, 0, ended(step_of({token("b")}), why::stop_sequence, "ab"));
    w->end(out, {});
    CHECK(
        out ==
        R"(data: {"id":"null","object":"text_completion","created":0,"model":"null","choices":[)"
        R"({"index":0,"text":"a","logprobs":null,"finish_reason":null}],"usage":)"
        R"({"prompt_tokens":0,"total_tokens":0,"completion_tokens":0}})"
        "\n\n"
        R"(data: {"id":"null","object":"text_completion","created":0,"model":"null","choices":[)"
        R"({"index":0,"text":"b","logprobs":null,"finish_reason":"content_filter"}],"usage":)"
        R"({"prompt_tokens":4,"total_tokens":7,"completion_tokens":3}})"
        "\n\ndata: [DONE]\n\n");
    std::string failed;
    w->fail(failed, {errc::overloaded, "Model is overloaded"});
    CHECK(failed == "data: {\"error\":\"Model is overloaded\",\"error_type\":\"overloaded\"}\n\n");
}

TEST_CASE("openai ids: each is another", "[api][openai]") {
    const auto id = openai::unique_id("cmpl-");
    CHECK(id.starts_with("cmpl-"));
    CHECK(id.size() == 29);
    CHECK(id != openai::unique_id("cmpl-"));
}
