#include "unit/text/chat_template_world.hpp"

#include <atomic>
#include <iterator>
#include <thread>
#include <time.h>

using namespace truffula;
using test::failure;
using test::load;
using test::say;
using test::with;
using json = nlohmann::ordered_json;
namespace fs = std::filesystem;

namespace {

const fs::path styles_folder = fs::path{TEST_DATA_DIR} / "chat_templates";

std::string content_of(const fs::path& file) {
    std::ifstream in{file, std::ios::binary};
    REQUIRE(in);
    return {std::istreambuf_iterator<char>{in}, {}};
}

text::chat_prompt prompt_of(const json& conversation) {
    const auto dumped = [&](const char* key) {
        return conversation.contains(key) ? conversation[key].dump() : std::string{};
    };
    text::chat_prompt prompt;
    prompt.messages = dumped("messages");
    prompt.tools = dumped("tools");
    prompt.documents = dumped("documents");
    prompt.arguments = dumped("arguments");
    prompt.add_generation_prompt = conversation.value("add_generation_prompt", true);
    prompt.continue_final_message = conversation.value("continue_final_message", false);
    // 26 July 2024, noon: the day that expected.json was made for.
    prompt.now = std::chrono::system_clock::from_time_t(1721995200);
    return prompt;
}

void check(const result<std::string>& got, const json& expected) {
    if (expected.contains("text")) {
        INFO((got ? std::string{} : got.error().detail));
        REQUIRE(got);
        CHECK(*got == expected["text"].get<std::string>());
        return;
    }
    REQUIRE(got.has_error());
    CHECK(got.error().code == errc::template_error);
    if (expected.contains("error")) {
        CHECK(got.error().detail == expected["error"].get<std::string>());
    }
}

}  // namespace

// expected.json was written by transformers itself: scripts/make-chat-expectations.
TEST_CASE("chat template: what transformers makes of 17 styles", "[text]") {
    if (!text::tokenizer::available()) return;
    ::setenv("TZ", "UTC", 1);
    ::tzset();
    const auto styles = json::parse(content_of(styles_folder / "styles.json"));
    const auto conversations = json::parse(content_of(styles_folder / "conversations.json"));
    const auto expected = json::parse(content_of(styles_folder / "expected.json"));
    REQUIRE(styles.size() == 17);
    REQUIRE(expected.size() == styles.size());
    for (const auto& [style, tokens] : styles.items()) {
        const scratch_folder folder;
        folder.write("tokenizer_config.json", tokens.dump());
        folder.write("chat_template.jinja", content_of(styles_folder / (style + ".jinja")));
        const auto templates = load(folder.path());
        for (const auto& conversation : conversations) {
            const auto name = conversation["name"].get<std::string>();
            INFO(style << ": " << name);
            check(templates.render(prompt_of(conversation)), expected[style][name]);
        }
    }
}

TEST_CASE("chat template: arguments of calls as text or object, as the template needs", "[text]") {
    if (!text::tokenizer::available()) return;
    const auto sent = [](const std::string& arguments) {
        text::chat_prompt prompt;
        prompt.messages =
            R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":)" +
            arguments + "}}]}]";
        return prompt;
    };
    const auto object = with("{{ messages[0].tool_calls[0].function.arguments | tojson }}");
    CHECK(*object.render(sent(R"({"a":1})")) == R"({"a": 1})");
    CHECK(*object.render(sent(R"("{\"a\":1}")")) == R"({"a": 1})");
    CHECK(*object.render(sent(R"("no JSON")")) == R"("no JSON")");
    const auto text = with(
        "{% for m in messages if m.tool_calls %}"
        "{{ 'x' + m.tool_calls[0].function.arguments }}{% endfor %}");
    CHECK(*text.render(sent(R"({"b":1,"a":2})")) == R"(x{"b":1,"a":2})");
    CHECK(*text.render(sent(R"("{\"a\": 1}")")) == R"(x{"a": 1})");
}

TEST_CASE("chat template: named ones, and which file wins", "[text]") {
    if (!text::tokenizer::available()) return;
    const scratch_folder folder;
    folder.write("tokenizer_config.json", R"({"chat_template": [
        {"name": "default", "template": "plain"},
        {"name": "tool_use", "template": "with {{ tools | length }}"},
        {"name": "rag", "template": "{{ documents | length }} {{ guideline }}"}]})");
    auto prompt = say("x");
    const auto listed = load(folder.path());
    CHECK(*listed.render(prompt) == "plain");
    CHECK(listed.uses_tools(""));
    CHECK_FALSE(listed.uses_tools("default"));
    CHECK_FALSE(listed.uses_tools("absent"));
    CHECK(listed.uses_guideline("rag"));
    CHECK_FALSE(listed.uses_guideline(""));
    prompt.tools = "[{}]";
    CHECK(*listed.render(prompt) == "with 1");
    prompt.template_name = "default";
    CHECK(*listed.render(prompt) == "plain");
    prompt.template_name = "rag";
    prompt.documents = "[{}, {}]";
    prompt.guideline = "g";
    CHECK(*listed.render(prompt) == "2 g");
    prompt.template_name = "absent";
    const auto absent = listed.render(prompt);
    REQUIRE(absent.has_error());
    CHECK(
        absent.error().detail ==
        "no chat template is named `absent`; there are: default, rag, tool_use");

    folder.write("chat_template.json", R"({"chat_template": "json"})");
    CHECK(*load(folder.path()).render(say("x")) == "json");
    folder.write("chat_template.jinja", "jinja\n");
    folder.write("additional_chat_templates/rag.jinja", "other rag");
    const auto files = load(folder.path());
    CHECK(*files.render(say("x")) == "jinja");
    prompt.template_name = "rag";
    CHECK(*files.render(prompt) == "other rag");
}

TEST_CASE("chat template: special tokens as texts, objects and lists", "[text]") {
    if (!text::tokenizer::available()) return;
    const scratch_folder folder;
    folder.write("tokenizer_config.json", R"({
        "bos_token": {"content": "<b>", "special": true}, "eos_token": "<e>", "unk_token": null,
        "additional_special_tokens": ["<x>", {"content": "<y>"}], "add_bos_token": true,
        "extra_special_tokens": {"image_token": "<i>"},
        "chat_template":
            "{{bos_token}}{{eos_token}}[{{unk_token}}]{{additional_special_tokens}}{{image_token}}"
        })");
    CHECK(*load(folder.path()).render(say("x")) == "<b><e>[]['<x>', '<y>']<i>");
}

TEST_CASE("chat template: none at all", "[text]") {
    if (!text::tokenizer::available()) return;
    const scratch_folder folder;
    const auto nothing = load(folder.path());
    CHECK_FALSE(nothing.has_templates());
    CHECK_FALSE(nothing.uses_tools(""));
    const auto got = nothing.render(say("x"));
    REQUIRE(got.has_error());
    CHECK(
        client_message(got.error()) ==
        "Failed applying chat template to inputs: template not found");
    CHECK(with("x").has_templates());
}

TEST_CASE("chat template: errors are the template's own words, or say where", "[text]") {
    if (!text::tokenizer::available()) return;
    const auto raised =
        failure("{% macro f() %}{{ raise_exception('No!') }}{% endmacro %}{{ f() }}", say("x"));
    CHECK(raised.code == errc::template_error);
    CHECK(raised.detail == "No!");
    CHECK(failure("x\n{{ a.b.c }}", say("x")).detail == "undefined value (line 2 of the template)");
    CHECK(failure("{{ guideline }}", say("x")).code == errc::missing_template_variable);
    CHECK(failure("{{ guideline }}", say("x")).detail == "guideline");

    auto guided = say("x");
    guided.guideline = "be kind";
    CHECK(*with("{{ guideline }}").render(guided) == "be kind");
    guided.guideline.reset();
    guided.arguments = R"({"guideline": "be brief"})";
    CHECK(*with("{{ guideline }}").render(guided) == "be brief");
}

TEST_CASE("chat template: bad input names the field", "[text]") {
    if (!text::tokenizer::available()) return;
    const auto detail = [](auto change) {
        auto prompt = say("x");
        change(prompt);
        return failure("x", prompt).detail;
    };
    using prompt = text::chat_prompt;
    CHECK(detail([](prompt& p) { p.messages = "{}"; }) == "`messages` must be a list");
    CHECK(detail([](prompt& p) { p.messages = "[1]"; }) == "`messages[0]` must be an object");
    CHECK_THAT(detail([](prompt& p) { p.messages = "["; }), Catch::StartsWith("`messages`: EOF"));
    CHECK(detail([](prompt& p) { p.tools = "{}"; }) == "`tools` must be a list");
    CHECK(detail([](prompt& p) { p.documents = "1"; }) == "`documents` must be a list");
    CHECK(detail([](prompt& p) {
              p.arguments = "[]";
          }) == "`chat_template_kwargs` must be an object");
    for (const std::string name :
         {"messages",
          "tools",
          "documents",
          "add_generation_prompt",
          "continue_final_message",
          "chat_template"}) {
        CHECK(detail([&](prompt& p) {
                  p.arguments = json{{name, 1}}.dump();
              }) == "`chat_template_kwargs` must not set `" + name + "`");
    }
    CHECK(detail([](prompt& p) {
              p.continue_final_message = true;
          }) == "`continue_final_message` and `add_generation_prompt` exclude each other");
    CHECK(detail([](prompt& p) {
              p.add_generation_prompt = false;
              p.continue_final_message = true;
          }) == "`continue_final_message`: the chat template leaves the last message out");
    auto shortened = say("hello");
    shortened.add_generation_prompt = false;
    shortened.continue_final_message = true;
    CHECK(*with("{{ messages[0].content }}").render(shortened) == "hello");
    CHECK_THAT(
        failure("{{ messages[0].content[1:] }}", shortened).detail,
        Catch::Contains("leaves the last message out"));
    const auto deep = std::string(100'000, '[');
    CHECK_THAT(
        detail([&](prompt& p) { p.messages = deep; }), Catch::Contains("recursion limit exceeded"));
    CHECK_THAT(
        detail([](prompt& p) { p.messages = "[{\"a\": \"\xff\"}]"; }), Catch::Contains("UTF-8"));
}

TEST_CASE("chat template: files that are none name themselves", "[text]") {
    if (!text::tokenizer::available()) return;
    const scratch_folder folder;
    const auto words = [&] {
        const auto got = text::chat_template::load(text::find_chat_template_files(folder.path()));
        REQUIRE(got.has_error());
        CHECK(got.error().code == errc::io);
        return got.error().detail;
    };
    folder.write("tokenizer_config.json", "{");
    CHECK_THAT(words(), Catch::Contains("tokenizer_config.json: EOF"));
    folder.write("tokenizer_config.json", R"({"chat_template": 3})");
    CHECK_THAT(words(), Catch::Contains("neither a text nor named texts"));
    folder.write("tokenizer_config.json", R"({"chat_template": "{% if %}"})");
    CHECK_THAT(words(), Catch::Contains("chat template `default`: syntax error"));
    folder.write("tokenizer_config.json", "{}");
    folder.write("chat_template.jinja", std::string((1 << 20) + 1, 'x'));
    CHECK_THAT(words(), Catch::Contains("at most 1048576 are read"));
    folder.write("chat_template.jinja", std::string(1 << 20, 'x'));
    CHECK(load(folder.path()).has_templates());
    // The same in a file that may be longer.
    const auto config = [&](std::size_t size) {
        const json file{{"chat_template", std::string(size, 'x')}};
        folder.write("tokenizer_config.json", file.dump());
        fs::remove(folder.path() / "chat_template.jinja");
    };
    config((1 << 20) + 1);
    CHECK_THAT(words(), Catch::Contains("chat template `default` is over 1048576 bytes"));
    config(1 << 20);
    CHECK(load(folder.path()).has_templates());
}

TEST_CASE("chat template: threads share one handle", "[text][mt]") {
    if (!text::tokenizer::available()) return;
    const auto templates = with("{{ bos_token }}{{ messages[0].content }}");
    std::atomic<int> right{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 200; ++i) {
                const auto text = std::to_string(t * 1000 + i);
                const auto got = templates.render(say(text));
                if (got && *got == "<s>" + text) ++right;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    CHECK(right == 800);
}
