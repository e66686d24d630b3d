// What a chat template may take: time, depth, and text that it writes.
#include "unit/text/chat_template_world.hpp"

using namespace truffula;
using test::failure;
using test::say;
using test::with;

TEST_CASE("chat template: one that never ends, or writes without end, is an error", "[text]") {
    if (!text::tokenizer::available()) return;
    const std::string loop =
        "{% for i in range(100000) %}{% for j in range(100000) %}BODY{% endfor %}{% endfor %}";
    const auto looping = [&](std::string body) {
        auto source = loop;
        return source.replace(source.find("BODY"), 4, body);
    };
    const std::string too_much = "the chat template writes too much text";
    CHECK(failure(looping(""), say("x")).detail == "the chat template runs for too long");
    CHECK(failure(looping("{{ 'x' * 1000 }}"), say("x")).detail == too_much);
    CHECK(failure(looping(std::string(1000, 'x')), say("x")).detail == too_much);
    const auto captured = "{% set x %}" + looping("{{ 'x' * 1000 }}") + "{% endset %}";
    CHECK(failure(captured, say("x")).detail == too_much);
    CHECK_THAT(
        failure("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", say("x")).detail,
        Catch::Contains("recursion limit"));
    // The next rendering of this thread starts anew.
    CHECK(*with("{{ messages[0].content }}").render(say("fine")) == "fine");
    // The other side of the limit: 16 MiB in one text.
    const std::string most(16 << 20, 'y');
    CHECK(with("{{ messages[0].content }}").render(say(most))->size() == most.size());
    CHECK(with("{{ messages[0].content }}").render(say(most + "y")).has_error());
}

TEST_CASE("chat template: a text that no one sees has the limit of what is written", "[text]") {
    if (!text::tokenizer::available()) return;
    constexpr std::size_t most = 16 << 20;
    for (const std::string made :
         {"[messages[0].content] | join",
          "','.join([messages[0].content])",
          "messages | string",
          "messages | tojson"}) {
        INFO(made);
        const auto templates = with("{{ (" + made + ") | length }}");
        const auto length = [&](std::size_t content) {
            return templates.render(say(std::string(content, 'x')));
        };
        const auto around = std::stoul(*length(0));
        CHECK(*length(most - around) == std::to_string(most));
        const auto longer = length(most - around + 1);
        REQUIRE(longer.has_error());
        CHECK(longer.error().detail == "the chat template writes too much text");
    }
}

TEST_CASE("chat template: values have a limit in depth where they are written", "[text]") {
    if (!text::tokenizer::available()) return;
    for (const std::string written : {"ns.x", "ns.x | tojson"}) {
        INFO(written);
        const auto nested = [&](int depth) {
            return with(
                       "{% set ns = namespace(x=1) %}{% for i in range(" + std::to_string(depth) +
                       ") %}{% set ns.x = [ns.x] %}{% endfor %}{{ " + written + " }}")
                .render(say("x"));
        };
        const auto deepest = nested(200);
        REQUIRE(deepest);
        CHECK(*deepest == std::string(200, '[') + "1" + std::string(200, ']'));
        const auto deeper = nested(201);
        REQUIRE(deeper.has_error());
        CHECK_THAT(deeper.error().detail, Catch::Contains("a value is nested too deeply"));
    }
}

TEST_CASE("chat template: indentation has a limit", "[text]") {
    if (!text::tokenizer::available()) return;
    const auto indented = [](const std::string& spaces) {
        return *with("{{ [1] | tojson(indent=" + spaces + ") }}").render(say("x"));
    };
    const std::string most = "[\n" + std::string(64, ' ') + "1\n]";
    CHECK(indented("64") == most);
    CHECK(indented("1000000000000") == most);
    CHECK(indented("-1") == "[\n1\n]");
}

TEST_CASE("chat template: what is within the limits of time and depth runs", "[text]") {
    if (!text::tokenizer::available()) return;
    const auto million =
        "{% for i in range(1000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}done";
    CHECK(*with(million).render(say("x")) == "done");
    const auto calls = [](int depth) {
        return with(
                   "{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(" +
                   std::to_string(depth) + ") }}done")
            .render(say("x"));
    };
    CHECK(calls(10));
    CHECK_FALSE(calls(30));
}

TEST_CASE("chat template: a panic of the library is an error like others", "[text]") {
    if (!text::tokenizer::available()) return;
    CHECK_THAT(failure("{{ [][::-2] }}", say("x")).detail, Catch::StartsWith("internal failure"));
}
