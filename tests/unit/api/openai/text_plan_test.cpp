#include "truffula/api/openai/text_plan.hpp"

#include <catch2/catch.hpp>

using namespace truffula;
using namespace truffula::api;

namespace {

struct outcome {
    std::optional<openai::fault> refused;
    openai::text_plan plan;
};

/// \param more fields beside model and prompt.
outcome plan(const std::string& more, const std::string& prompt = R"("hello")") {
    openai::completion_body body;
    const auto text = R"({"model":"m","prompt":)" + prompt + (more.empty() ? "" : ",") + more + "}";
    const auto unread = read_json(text, openai::completion_body::schema(), &body);
    INFO(text);
    outcome o;
    if (unread) {
        o.refused = openai::describe_fault(*unread);
    } else {
        o.refused = openai::plan_completion(std::move(body), "base", o.plan);
    }
    return o;
}

std::string param_of(const std::string& more, const std::string& prompt = R"("hello")") {
    const auto got = plan(more, prompt);
    if (!got.refused) return "";
    CHECK(got.refused->status == 400);
    CHECK_FALSE(got.refused->message.empty());
    return got.refused->param;
}

}  // namespace

TEST_CASE("openai plan: what completions mean when nothing is said", "[api][openai]") {
    const auto got = plan("");
    REQUIRE_FALSE(got.refused);
    CHECK(got.plan.model == "m");
    CHECK(got.plan.n == 1);
    CHECK_FALSE(got.plan.is_streamed);
    const auto& p = got.plan.parameters;
    CHECK(p.adapter_id == "m");
    CHECK(p.max_new_tokens == 16U);
    CHECK(p.do_sample);
    CHECK_FALSE(p.temperature);
    CHECK(p.sequences() == 1);
    CHECK_FALSE(p.wants_details());
    REQUIRE(got.plan.prompts.size() == 1);
    CHECK(got.plan.prompts.front().text == "hello");
}

TEST_CASE("openai plan: the model's name is the base or an adapter", "[api][openai]") {
    CHECK(openai::adapter_of("base", "base") == std::nullopt);
    CHECK(openai::adapter_of("", "base") == std::nullopt);
    CHECK(openai::adapter_of("a/b", "base") == "a/b");
    CHECK(plan(R"("adapter_id":"x")").plan.parameters.adapter_id == "x");
    const auto merged = plan(R"("merged_adapters":{"ids":["a","b"],"weights":[1,1]})");
    REQUIRE_FALSE(merged.refused);
    CHECK_FALSE(merged.plan.parameters.adapter_id);
    CHECK(merged.plan.parameters.merged_adapters->ids.size() == 2);
}

TEST_CASE("openai plan: prompts in all their forms", "[api][openai]") {
    CHECK(plan("", R"(["a","b"])").plan.prompts.at(1).text == "b");
    const auto ids = plan("", "[1,2,3]").plan.prompts;
    REQUIRE(ids.size() == 1);
    CHECK(*ids.front().ids == std::vector<std::uint32_t>{1, 2, 3});
    const auto lists = plan("", "[[1,2],[4294967295]]").plan.prompts;
    REQUIRE(lists.size() == 2);
    CHECK(*lists.back().ids == std::vector<std::uint32_t>{4294967295});
    for (const auto* bad :
         {"[]",
          "[[]]",
          "[1,\"a\"]",
          "[\"a\",1]",
          "[1.5]",
          "[-1]",
          "[4294967296]",
          "{}",
          "5",
          "true",
          "[[1],\"a\"]",
          "[\"a\",[1]]",
          "[null]",
          "null"}) {
        INFO(bad);
        CHECK(plan("", bad).refused);
    }
    CHECK(param_of("", "[]") == "prompt");
}

TEST_CASE("openai plan: sampling", "[api][openai]") {
    const auto greedy = plan(R"("temperature":0)").plan.parameters;
    CHECK_FALSE(greedy.do_sample);
    CHECK_FALSE(greedy.temperature);
    const auto warm = plan(R"("temperature":0.5,"top_p":0.9,"top_k":-1)").plan.parameters;
    CHECK(warm.do_sample);
    CHECK(warm.temperature == 0.5F);
    CHECK_FALSE(warm.top_k);
    CHECK(plan(R"("temperature":2)").plan.parameters.temperature == 2.0F);
    CHECK(param_of(R"("temperature":2.0001)") == "temperature");
    CHECK(plan(R"("top_k":7)").plan.parameters.top_k == 7);
    CHECK(param_of(R"("top_k":-2)") == "top_k");
    CHECK(plan(R"("ignore_eos":true)").plan.parameters.ignore_eos_token);
    CHECK(plan(R"("ignore_eos_token":true)").plan.parameters.ignore_eos_token);
}

TEST_CASE("openai plan: how many answers, and their seeds", "[api][openai]") {
    const auto many = plan(R"("n":2,"best_of":3,"seed":-1)");
    REQUIRE_FALSE(many.refused);
    CHECK(many.plan.n == 2);
    CHECK(many.plan.parameters.sequences() == 3);
    CHECK(many.plan.first_seed == 18446744073709551615ULL);
    CHECK_FALSE(many.plan.parameters.seed);
    CHECK(plan(R"("seed":5)").plan.parameters.seed == 5U);
    CHECK(param_of(R"("n":0)") == "n");
    CHECK(plan(R"("n":128)").plan.parameters.sequences() == 128);
    CHECK(param_of(R"("n":129)") == "n");
    CHECK(param_of(R"("n":3,"best_of":2)") == "best_of");
    CHECK(param_of(R"("best_of":2,"stream":true)") == "best_of");
    CHECK_FALSE(plan(R"("n":2,"stream":true)").refused);
    CHECK(param_of(R"("max_tokens":-1)") == "max_tokens");
    CHECK(param_of(R"("max_tokens":4294967296)") == "max_tokens");
    const auto one = plan(R"("max_tokens":1)").plan;
    CHECK(one.parameters.max_new_tokens == 1U);
    CHECK_FALSE(one.drops_answer);
    const auto none = plan(R"("max_tokens":0,"echo":true)").plan;
    CHECK(none.parameters.max_new_tokens == 1U);
    CHECK(none.drops_answer);
}

TEST_CASE("openai plan: stop as a string or a list", "[api][openai]") {
    using texts = std::vector<std::string>;
    CHECK(plan(R"("stop":"a")").plan.parameters.stop == texts{"a"});
    CHECK(plan(R"("stop":["a","b"])").plan.parameters.stop == texts{"a", "b"});
    CHECK(plan(R"("stop":null)").plan.parameters.stop.empty());
    for (const auto* bad : {"\"\"", "[\"\"]", "[1]", "5", "{}", "[null]"}) {
        CHECK(param_of(std::string{R"("stop":)"} + bad) == "stop");
    }
}

TEST_CASE("openai plan: log-probabilities", "[api][openai]") {
    const auto none = plan(R"("logprobs":0)").plan;
    CHECK(none.logprobs == 0U);
    CHECK(none.parameters.details);
    CHECK_FALSE(none.parameters.return_k_alternatives);
    const auto five = plan(R"("logprobs":5,"echo":true)").plan;
    CHECK(five.parameters.return_k_alternatives == 5);
    CHECK(five.parameters.decoder_input_details);
    CHECK(param_of(R"("logprobs":6)") == "logprobs");
    CHECK(param_of(R"("logprobs":-1)") == "logprobs");
}

TEST_CASE("openai plan: the usage of streams", "[api][openai]") {
    const auto shown = [](const std::string& options) {
        const auto got = plan(R"("stream":true,"stream_options":{)" + options + "}").plan;
        return std::pair{got.shows_usage, got.shows_each_usage};
    };
    using both = std::pair<bool, bool>;
    CHECK(shown("") == both{false, false});
    CHECK(shown(R"("include_usage":true)") == both{true, false});
    CHECK(shown(R"("include_usage":true,"continuous_usage_stats":true)") == both{true, true});
    CHECK(shown(R"("continuous_usage_stats":true)") == both{false, false});
}

TEST_CASE("openai plan: what constrains the answer", "[api][openai]") {
    const auto format = [](const std::string& text) {
        return plan(R"("response_format":)" + text).plan.parameters.response_format;
    };
    CHECK_FALSE(format(R"({"type":"text"})"));
    CHECK_FALSE(format("null"));
    CHECK(format(R"({"type":"json_object"})")->answer_schema.text == default_answer_schema);
    const auto named =
        format(R"({"type":"json_schema","json_schema":{"name":"x","schema":{"b":1,"a":[2]}}})");
    REQUIRE(named);
    CHECK(named->answer_schema.text == R"({"b":1,"a":[2]})");
    CHECK(
        plan(R"("guided_json":{"type":"object"})")
            .plan.parameters.response_format->answer_schema.text == R"({"type":"object"})");
    CHECK(
        plan(R"("guided_json":"{\"a\":1}")").plan.parameters.response_format->answer_schema.text ==
        R"({"a":1})");
    const auto refused = [](const std::string& text) {
        return param_of(R"("response_format":)" + text);
    };
    CHECK(refused("5") == "response_format");
    CHECK(refused("{}") == "response_format.type");
    CHECK(refused(R"({"type":"xml"})") == "response_format.type");
    CHECK(refused(R"({"type":"json_schema"})") == "response_format.json_schema");
    CHECK(
        refused(R"({"type":"json_schema","json_schema":{"schema":{}}})") ==
        "response_format.json_schema.name");
    CHECK(
        refused(R"({"type":"json_schema","json_schema":{"name":"x","schema":5}})") ==
        "response_format.json_schema.schema");
    CHECK(param_of(R"("guided_json":"no json")") == "guided_json");
    CHECK(param_of(R"("guided_json":"{} {}")") == "guided_json");
    CHECK(param_of(R"("guided_json":[])") == "guided_json");
    std::string deep;
    for (int i = 0; i < 100'000; ++i) deep += R"({\"a\":)";
    CHECK(param_of(R"("guided_json":")" + deep + R"(")") == "guided_json");
    CHECK(
        param_of(R"("guided_json":{},"response_format":{"type":"json_object"})") == "guided_json");
}

TEST_CASE("openai plan: vLLM's structured outputs", "[api][openai]") {
    const auto schema = [](const std::string& value) {
        const auto got = plan(R"("structured_outputs":)" + value);
        REQUIRE_FALSE(got.refused);
        const auto& format = got.plan.parameters.response_format;
        return format ? format->answer_schema.text : "";
    };
    CHECK(schema(R"({"json":{"type":"object"}})") == R"({"type":"object"})");
    CHECK(schema(R"({"json":"{\"type\": \"object\"}","regex":null})") == R"({"type":"object"})");
    CHECK(schema(R"({"json_object":true})") == default_answer_schema);
    CHECK(schema(R"({"json_object":false,"json":null,"disable_any_whitespace":true})").empty());
    CHECK(schema("null").empty());
    const auto refused = [](const std::string& value, const std::string& more = "") {
        return param_of(R"("structured_outputs":)" + value + more);
    };
    CHECK(refused("[]") == "structured_outputs");
    CHECK(refused(R"({"json":5})") == "structured_outputs.json");
    CHECK(refused(R"({"json":{"type":"x"}})") == "structured_outputs.json.type");
    for (const std::string kind : {"regex", "choice", "grammar", "structural_tag"}) {
        CHECK(refused("{\"" + kind + R"(":"a"})") == "structured_outputs." + kind);
    }
    CHECK(refused(R"({"json":{}})", R"(,"guided_json":{})") == "structured_outputs");
    CHECK_FALSE(plan(R"("structured_outputs":{},"guided_json":{})").refused);
}

TEST_CASE("openai plan: what no shard can do is refused, not ignored", "[api][openai]") {
    CHECK(param_of(R"("logit_bias":{"5":1})") == "logit_bias");
    CHECK(param_of(R"("logit_bias":[])") == "logit_bias");
    CHECK(param_of(R"("suffix":"x")") == "suffix");
    CHECK(param_of(R"("min_p":0.1)") == "min_p");
    CHECK(param_of(R"("min_tokens":1)") == "min_tokens");
    CHECK(param_of(R"("guided_regex":"a+")") == "guided_regex");
    CHECK(param_of(R"("guided_choice":["a"])") == "guided_choice");
    CHECK(param_of(R"("guided_grammar":"x")") == "guided_grammar");
    for (const std::string name :
         {"stop_token_ids",
          "allowed_token_ids",
          "bad_words",
          "use_beam_search",
          "prompt_logprobs"}) {
        CHECK(param_of("\"" + name + "\":1") == name);
        CHECK_FALSE(plan("\"" + name + "\":null").refused);
    }
    CHECK_FALSE(plan(R"("use_beam_search":false,"stop_token_ids":[],"bad_words":[])").refused);
    CHECK(param_of(R"("prompt_logprobs":0)") == "prompt_logprobs");
    CHECK(param_of(R"("stream_options":{})") == "stream_options");
    CHECK_FALSE(plan(R"("logit_bias":{},"suffix":"","min_p":0,"min_tokens":0)").refused);
    CHECK_FALSE(plan(R"("logit_bias":null,"guided_regex":null,"unheard_of":[{}])").refused);
}

TEST_CASE("openai plan: a wrong type is refused with its field", "[api][openai]") {
    CHECK(param_of(R"("temperature":"x")") == "temperature");
    CHECK(param_of(R"("stream_options":{"include_usage":1})") == "stream_options.include_usage");
    CHECK(param_of(R"("seed":9223372036854775808)") == "seed");
    CHECK(param_of(R"("n":1,"n":1)") == "n");
    CHECK(param_of(R"("merged_adapters":{"weights":[1]})") == "merged_adapters.ids");
    CHECK_FALSE(plan(R"("seed":9223372036854775807,"n":null,"stream":null)").refused);
}

TEST_CASE("openai plan: a LoRAX router's reading", "[api][openai]") {
    openai::lorax_completion_body body;
    const std::string text =
        R"({"model":"base","prompt":"x","max_tokens":-1,"n":5,"best_of":2,"logprobs":0})";
    REQUIRE_FALSE(read_json(text, openai::lorax_completion_body::schema(), &body));
    const auto plan = openai::plan_lorax_completion(std::move(body), "base");
    CHECK_FALSE(plan.parameters.adapter_id);
    CHECK(plan.parameters.do_sample);
    CHECK(plan.parameters.max_new_tokens == 4294967295U);
    CHECK(plan.parameters.best_of == 2U);
    CHECK(plan.parameters.decoder_input_details);
    CHECK(plan.parameters.details);
    openai::lorax_completion_body other;
    const auto schema = openai::lorax_completion_body::schema();
    CHECK(read_json(R"({"model":"a","prompt":["x"]})", schema, &other)->status == 422);
    CHECK(read_json(R"({"model":"a","prompt":"x","stop":"y"})", schema, &other)->status == 422);
    CHECK(read_json(R"({"prompt":"x"})", schema, &other)->path.empty());
}
