#include "support/run_coro.hpp"
#include "truffula/api/openai/text_writer.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <array>
#include <sstream>

using namespace truffula;
using namespace truffula::api;
using nlohmann::json;
using why = inference::finish_reason;

namespace {

const std::string call = R"({"function":{"_name":"f","a":[1,2]}})";

inference::step step_of(std::string text) {
    inference::step s;
    s.tokens.resize(1);
    s.tokens.front().text = std::move(text);
    return s;
}

inference::step end_of(why reason) {
    auto s = step_of("</s>");
    s.tokens.front().special = true;
    s.finished.emplace();
    s.finished->reason = reason;
    return s;
}

openai::text_plan plan_with(std::vector<std::string> tools) {
    openai::text_plan plan;
    plan.prompts.push_back({"hi", std::nullopt});
    plan.tools = std::move(tools);
    return plan;
}

std::unique_ptr<openai::text_writer> writer(const openai::text_plan& plan) {
    return openai::make_chat_writer(plan, {"chatcmpl-1", 7, "m", "fp"}, {});
}

std::vector<json> events(const std::string& stream) {
    std::vector<json> all;
    std::istringstream lines{stream};
    for (std::string line; std::getline(lines, line);) {
        if (!line.empty()) all.push_back(json::parse(line.substr(6)));
    }
    return all;
}

/// The choices of all events of an answer that comes letter by letter.
std::vector<json> streamed(const openai::text_plan& plan, const std::string& text, why reason) {
    const auto w = writer(plan);
    std::string out;
    w->begin(out, std::vector<std::uint32_t>{4});
    for (const auto c : text) REQUIRE(w->step(out, 0, step_of({c})));
    REQUIRE(w->step(out, 0, end_of(reason)));
    std::vector<json> all;
    for (const auto& e : events(out)) all.push_back(e["choices"][0]);
    return all;
}

std::string text_of(const json& logprobs) {
    std::string text;
    for (const auto& t : logprobs["content"]) text += t["token"].get<std::string>();
    return text;
}

result<std::string> whole(const openai::text_plan& plan, const std::string& text, why reason) {
    collected_answer answer;
    answer.end.text = text;
    answer.end.reason = reason;
    const std::vector one{answer};
    return writer(plan)->body(one, {1, 2});
}

json message_of(const result<std::string>& body) {
    REQUIRE(body);
    return json::parse(*body)["choices"][0]["message"];
}

}  // namespace

TEST_CASE("chat events: role first, words, an empty delta at the end", "[api][openai]") {
    const auto all = streamed(plan_with({}), "ab", why::eos_token);
    REQUIRE(all.size() == 4);
    CHECK(all[0]["delta"]["role"] == "assistant");
    CHECK(all[1]["delta"] == json{{"content", "a"}});
    CHECK(all[2]["delta"] == json{{"content", "b"}});
    CHECK(all[2]["finish_reason"].is_null());
    CHECK(all[3]["delta"].empty());
    CHECK(all[3]["finish_reason"] == "stop");
}

TEST_CASE("chat events: a tool's name, then its arguments in pieces", "[api][openai]") {
    const auto all = streamed(plan_with({"f", "no_tool"}), call, why::eos_token);
    REQUIRE(all.size() > 5);
    const auto first = all[1]["delta"]["tool_calls"][0];
    CHECK(first["index"] == 0);
    CHECK(first["id"].get<std::string>().starts_with("call_"));
    CHECK(first["type"] == "function");
    CHECK(first["function"] == json{{"name", "f"}, {"arguments", ""}});
    std::string arguments;
    for (std::size_t i = 2; i + 1 < all.size(); ++i) {
        const auto& more = all[i]["delta"]["tool_calls"][0];
        CHECK_FALSE(more.contains("id"));
        arguments += more["function"]["arguments"];
    }
    CHECK(arguments == R"({"a":[1,2]})");
    CHECK(all.back()["finish_reason"] == "tool_calls");
}

TEST_CASE("chat events: words in place of a call", "[api][openai]") {
    const std::string words = R"({"function":{"_name":"no_tool","content":"h\u00e9"}})";
    const auto all = streamed(plan_with({"f", "no_tool"}), words, why::eos_token);
    std::string text;
    for (const auto& one : all) text += one["delta"].value("content", "");
    CHECK(text == "hé");
    CHECK(all.back()["finish_reason"] == "stop");
}

TEST_CASE("chat events: what is no call fails, what is cut off does not", "[api][openai]") {
    const auto plan = plan_with({"f"});
    const auto w = writer(plan);
    std::string out;
    CHECK(w->step(out, 0, step_of("[1")).has_error());
    const auto cut = streamed(plan, call.substr(0, 30), why::length);
    CHECK(cut.back()["finish_reason"] == "length");
    const auto early = writer(plan);
    REQUIRE(early->step(out, 0, step_of(call.substr(0, 30))));
    const auto ended = early->step(out, 0, end_of(why::eos_token));
    REQUIRE(ended.has_error());
    CHECK(openai::describe_fault(ended.error()).status == 500);
}

TEST_CASE("chat: a call that a stop text cut off has what came", "[api][openai]") {
    const auto plan = plan_with({"f"});
    const auto cut = call.substr(0, 30);
    CHECK(streamed(plan, cut, why::stop_sequence).back()["finish_reason"] == "stop");
    CHECK(streamed(plan, call, why::stop_sequence).back()["finish_reason"] == "tool_calls");
    const auto body = whole(plan, cut, why::stop_sequence);
    CHECK(message_of(body)["tool_calls"][0]["function"]["arguments"] == R"({"a":[)");
    CHECK(json::parse(*body)["choices"][0]["finish_reason"] == "stop");
}

TEST_CASE("chat events: a choice that starts over forgets its call", "[api][openai]") {
    const auto plan = plan_with({"f"});
    const auto w = writer(plan);
    std::string out;
    REQUIRE(w->step(out, 0, step_of(R"({"func)")));
    w->restart(0);
    REQUIRE(w->step(out, 0, step_of(call)));
    CHECK(w->step(out, 0, end_of(why::eos_token)));
}

TEST_CASE("chat events: a choice that starts over shows nothing of before", "[api][openai]") {
    auto plan = plan_with({"f"});
    plan.logprobs = 0;
    std::string out;
    SECTION("of a call") {
        const auto w = writer(plan);
        REQUIRE(w->step(out, 0, step_of(R"({"func)")));
        w->restart(0);
        REQUIRE(w->step(out, 0, step_of(call)));
        REQUIRE(w->step(out, 0, end_of(why::eos_token)));
        std::string scored;
        for (const auto& e : events(out)) {
            const auto& logprobs = e["choices"][0]["logprobs"];
            if (!logprobs.is_null()) scored += text_of(logprobs);
        }
        CHECK(scored == call);
    }
    SECTION("of a text that was held back") {
        plan.tools.clear();
        plan.parameters.stop = {"END"};
        const auto w = writer(plan);
        REQUIRE(w->step(out, 0, step_of("EN")));
        CHECK(out.empty());
        w->restart(0);
        REQUIRE(w->step(out, 0, step_of("Done")));
        const auto all = events(out);
        REQUIRE(all.size() == 1);
        CHECK(all[0]["choices"][0]["delta"] == json{{"content", "Done"}});
        CHECK(text_of(all[0]["choices"][0]["logprobs"]) == "Done");
    }
}

TEST_CASE("chat events: each choice has its index and its usage so far", "[api][openai]") {
    auto plan = plan_with({});
    plan.n = 2;
    plan.shows_usage = true;
    plan.shows_each_usage = true;
    const auto w = writer(plan);
    std::string out;
    w->begin(out, std::vector<std::uint32_t>{4});
    auto first = step_of("a");
    first.prefill_length = 5;
    REQUIRE(w->step(out, 1, first));
    w->restart(1);
    REQUIRE(w->step(out, 1, step_of("b")));
    REQUIRE(w->step(out, 0, step_of("c")));
    std::vector<std::array<int, 3>> seen;
    for (const auto& e : events(out)) {
        const auto& used = e["usage"];
        seen.push_back(
            {e["choices"][0]["index"], used["prompt_tokens"], used["completion_tokens"]});
    }
    const std::vector<std::array<int, 3>> expected{
        {0, 4, 0}, {1, 4, 0}, {1, 5, 1}, {1, 5, 1}, {0, 4, 1}};
    CHECK(seen == expected);
}

TEST_CASE("chat events: text that only began like a stop text comes at the end", "[api][openai]") {
    auto plan = plan_with({});
    plan.parameters.stop = {"END"};
    const auto all = streamed(plan, "xE", why::eos_token);
    REQUIRE(all.size() == 4);
    CHECK(all[1]["delta"] == json{{"content", "x"}});
    CHECK(all[2]["delta"] == json{{"content", "E"}});
}

TEST_CASE("chat events: log-probabilities only where a token is shown", "[api][openai]") {
    auto plan = plan_with({});
    plan.logprobs = 0;
    const auto all = streamed(plan, "a", why::eos_token);
    REQUIRE(all.size() == 3);
    CHECK(all[0]["logprobs"].is_null());
    CHECK(text_of(all[1]["logprobs"]) == "a");
    CHECK(all[2]["logprobs"].is_null());
}

TEST_CASE("chat: a call at whose end the length ran out was cut off", "[api][openai]") {
    const auto plan = plan_with({"f"});
    CHECK(streamed(plan, call, why::length).back()["finish_reason"] == "length");
    const auto body = whole(plan, call, why::length);
    REQUIRE(body);
    CHECK(json::parse(*body)["choices"][0]["finish_reason"] == "length");
}

TEST_CASE("chat events: an error comes before the end marker", "[api][openai]") {
    const auto plan = plan_with({});
    std::string out;
    writer(plan)->fail(out, {errc::rpc_failed, "boom"});
    const std::string last = "data: [DONE]\n\n";
    REQUIRE(out.ends_with("\n\n" + last));
    CHECK(
        json::parse(out.substr(6, out.size() - last.size() - 6))["error"]["type"] ==
        "server_error");
}

TEST_CASE("chat body: words, calls, and replies that are neither", "[api][openai]") {
    CHECK(message_of(whole(plan_with({}), "hi", why::length))["content"] == "hi");
    const auto tools = plan_with({"f"});
    const auto message = message_of(whole(tools, call, why::eos_token));
    CHECK(message["content"].is_null());
    CHECK(message["tool_calls"].size() == 1);
    CHECK(
        message["tool_calls"][0]["function"] ==
        json{{"name", "f"}, {"arguments", R"({"a":[1,2]})"}});
    CHECK(
        json::parse(*whole(tools, call, why::eos_token))["choices"][0]["finish_reason"] ==
        "tool_calls");
    CHECK(whole(tools, R"({"function":{"_name":"g"}})", why::eos_token).has_error());
    CHECK(whole(tools, "", why::eos_token).has_error());
    CHECK(whole(tools, call.substr(0, 30), why::length));
}

TEST_CASE("chat: a call has the log-probabilities of all its tokens", "[api][openai]") {
    auto plan = plan_with({"f", "no_tool"});
    plan.logprobs = 0;
    std::string streamed_text;
    for (const auto& one : streamed(plan, call, why::eos_token)) {
        if (!one["logprobs"].is_null()) streamed_text += text_of(one["logprobs"]);
    }
    CHECK(streamed_text == call);
    collected_answer answer;
    answer.end.text = call;
    answer.end.reason = why::eos_token;
    for (const auto c : call) answer.tokens.push_back(step_of({c}).tokens.front());
    const std::vector one{answer};
    const auto body = writer(plan)->body(one, {1, 2});
    REQUIRE(body);
    const auto choice = json::parse(*body)["choices"][0];
    CHECK(choice["message"]["tool_calls"].size() == 1);
    CHECK(text_of(choice["logprobs"]) == call);
    plan.logprobs.reset();
    const auto plain = writer(plan)->body(one, {1, 2});
    REQUIRE(plain);
    CHECK(json::parse(*plain)["choices"][0]["logprobs"].is_null());
}

TEST_CASE("lorax chat: calls have the id 0 and no content", "[api][openai]") {
    const auto plan = plan_with({"f"});
    const auto w = openai::make_lorax_chat_writer(plan, {"", 7, "base", "fp"});
    collected_answer answer;
    answer.end.text = call;
    answer.end.reason = why::stop_sequence;
    const std::vector one{answer};
    const auto body = w->body(one, {1, 2});
    REQUIRE(body);
    CHECK(
        *body ==
        R"({"id":"null","object":"text_completion","created":7,"model":"base","choices":[)"
        R"({"index":0,"message":{"role":"assistant","tool_calls":[{"id":"0","type":"function",)"
        R"("function":{"description":null,"name":"f","arguments":"{\"a\":[1,2]}"}}]},)"
        R"("finish_reason":"content_filter"}],"usage":{"prompt_tokens":1,"total_tokens":3,)"
        R"("completion_tokens":2},"system_fingerprint":"fp"})");
    answer.end.text = "no json";
    const std::vector other{answer};
    const auto refused = w->body(other, {});
    REQUIRE(refused.has_error());
    CHECK(refused.error().code == errc::tool_error);
}
