#include "truffula/api/openai/messages.hpp"

#include <catch2/catch.hpp>

using namespace truffula;
using namespace truffula::api;

namespace {

std::string kept(const std::string& messages) {
    std::string to;
    std::string image_at;
    const auto refused = openai::read_messages({messages}, to, image_at);
    INFO(messages);
    REQUIRE_FALSE(refused);
    return to;
}

std::string image_in(const std::string& messages) {
    std::string to;
    std::string image_at;
    REQUIRE_FALSE(openai::read_messages({messages}, to, image_at));
    return image_at;
}

std::string param_of(const std::string& messages) {
    std::string to;
    std::string image_at;
    const auto refused = openai::read_messages({messages}, to, image_at);
    INFO(messages);
    REQUIRE(refused);
    CHECK(refused->status == 400);
    return refused->param;
}

}  // namespace

TEST_CASE("openai messages: texts, parts and images become one text", "[api][openai]") {
    CHECK(kept(R"([{"role":"user","content":"hi"}])") == R"([{"role":"user","content":"hi"}])");
    CHECK(
        kept(
            R"([{"role":"user","content":[{"type":"text","text":"a "},)"
            R"({"type":"image_url","image_url":{"url":"data:x"}},{"type":"text","text":"b"}]}])") ==
        R"([{"role":"user","content":"a ![](data:x)b"}])");
    CHECK(
        kept(R"([{"role":"developer","content":"be brief"},{"role":"assistant"}])") ==
        R"([{"role":"system","content":"be brief"},{"role":"assistant","content":""}])");
}

TEST_CASE("openai messages: where the first image is", "[api][openai]") {
    const std::string image = R"({"type":"image_url","image_url":{"url":"data:x"}})";
    const std::string text = R"-({"type":"text","text":"![](data:x)"})-";
    const auto said = [](const std::string& parts) {
        return R"({"role":"user","content":[)" + parts + "]}";
    };
    CHECK(image_in("[" + said(text) + "]").empty());
    CHECK(
        image_in("[" + said(text) + "," + said(text + "," + image + "," + image) + "]") ==
        "messages[1].content[1]");
    CHECK(image_in("[" + said(image) + "," + said(image) + "]") == "messages[0].content[0]");
}

TEST_CASE("openai messages: tool calls and their results", "[api][openai]") {
    const std::string calls =
        R"([{"role":"assistant","content":"","tool_calls":[{"id":"c","type":"function",)"
        R"("function":{"name":"f","arguments":"{\"b\": 1}"}}]},)"
        R"({"role":"tool","tool_call_id":"c","content":"5"}])";
    CHECK(kept(calls) == calls);
    CHECK(
        kept(R"([{"role":"user","content":"x","tool_calls":null,"mood":[1]}])") ==
        R"([{"role":"user","content":"x","mood":[1]}])");
}

TEST_CASE("openai messages: what is wrong, and where", "[api][openai]") {
    CHECK(param_of("[]") == "messages");
    CHECK(param_of("{}") == "messages");
    CHECK(param_of("[5]") == "messages[0]");
    CHECK(param_of(R"([{"content":"x"}])") == "messages[0].role");
    CHECK(param_of(R"([{"role":"king","content":"x"}])") == "messages[0].role");
    CHECK(param_of(R"([{"role":"user"}])") == "messages[0].content");
    CHECK(param_of(R"([{"role":"user","content":5}])") == "messages[0].content");
    CHECK(param_of(R"([{"role":"user","content":["x"]}])") == "messages[0].content[0]");
    CHECK(
        param_of(
            R"([{"role":"user","content":"x"},{"role":"user","content":[{"type":"video"}]}])") ==
        "messages[1].content[0].type");
    CHECK(
        param_of(R"([{"role":"user","content":[{"type":"text"}]}])") ==
        "messages[0].content[0].text");
    CHECK(
        param_of(R"([{"role":"user","content":[{"type":"image_url","image_url":"x"}]}])") ==
        "messages[0].content[0].image_url.url");
    CHECK(param_of(R"([{"role":"user","content":"x","name":5}])") == "messages[0].name");
    CHECK(param_of(R"([{"role":"tool","content":"x"}])") == "messages[0].tool_call_id");
    CHECK(
        param_of(R"([{"role":"user","content":"x","tool_calls":[]}])") == "messages[0].tool_calls");
    CHECK(param_of(R"([{"role":"assistant","tool_calls":{}}])") == "messages[0].tool_calls");
    CHECK(
        param_of(R"([{"role":"assistant","tool_calls":[{"function":{}}]}])") ==
        "messages[0].tool_calls[0].function.name");
    const auto arguments_of = [](const std::string& value) {
        return R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":)" +
               value + "}}]}]";
    };
    for (const auto* wrong : {"5", "true", "[]"}) {
        CHECK(param_of(arguments_of(wrong)) == "messages[0].tool_calls[0].function.arguments");
    }
    for (const auto* good : {R"("{}")", "{}", "null"}) kept(arguments_of(good));
}

TEST_CASE("openai messages: a LoRAX router's reading", "[api][openai]") {
    std::string to;
    CHECK_FALSE(openai::read_lorax_messages(
        {R"([{"role":"king","name":"k","tool_calls":5},{"role":"user","content":"x"}])"}, to));
    CHECK(to == R"([{"role":"king","content":"","name":"k"},{"role":"user","content":"x"}])");
    const auto wrong = openai::read_lorax_messages({R"([{"role":"user","content":5}])"}, to);
    REQUIRE(wrong);
    CHECK(wrong->status == 422);
    CHECK(wrong->path == "messages[0].content");
    CHECK(openai::read_lorax_messages({"{}"}, to)->path == "messages");
}
