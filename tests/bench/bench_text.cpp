// Chat templates, tool calls and schemas, without HTTP. Run from the project's folder, or with the
// folder of the templates as argument.
#include "bench/figures.hpp"
#include "bench/timing.hpp"
#include "truffula/text/chat_template.hpp"
#include "truffula/text/json_schema.hpp"
#include "truffula/text/tool_reply.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace {

using namespace truffula;
using bench::check;

constexpr std::size_t rounds = 20;

void render(const std::filesystem::path& folder, const std::string& style) {
    text::chat_template_files files;
    // Of any name but `chat_template` it is a named one.
    files.jinja = {folder / (style + ".jinja")};
    const auto loaded = text::chat_template::load(files);
    if (!loaded) {
        std::printf("%s\n", loaded.error().detail.c_str());
        std::exit(EXIT_FAILURE);
    }
    text::chat_prompt prompt;
    prompt.template_name = style;
    std::string words;
    while (words.size() < 200) words += "some words ";
    for (int i = 0; i < 50; ++i) {
        prompt.messages += i == 0 ? '[' : ',';
        prompt.messages += R"({"role":")";
        prompt.messages += i % 2 == 0 ? "user" : "assistant";
        prompt.messages += R"(","content":")" + words + "\"}";
    }
    prompt.messages += ']';
    prompt.arguments = R"({"bos_token":"<s>","eos_token":"</s>"})";
    const auto each = bench::time_of<bench::microseconds>(
        rounds, 50, [&] { check(loaded->render(prompt).has_value()); });
    bench::report("50 messages rendered, " + style, "us", each);
    bench::judge("50 messages rendered, " + style, bench::median(each), 1000, "us");
}

void read_replies() {
    std::string reply = R"({"function": {"_name": "find", "words": ")";
    while (reply.size() < 1000) reply += "some words ";
    reply += "\"}}";
    const auto read = [&] {
        text::tool_reply_parser parser{{"find", "no_tool"}};
        for (std::size_t at = 0; at < reply.size(); at += 4) {
            check(parser.feed(std::string_view{reply}.substr(at, 4)).has_value());
        }
        check(parser.finish().has_value());
    };
    bench::report(
        "tool call of 1 kB read in pieces of 4 bytes",
        "us",
        bench::time_of<bench::microseconds>(rounds, 200, read));
}

void check_schemas() {
    std::string schema = R"({"type":"object","properties":{)";
    for (int i = 0; i < 20; ++i) {
        schema += "\"field" + std::to_string(i) + R"(":{"type":"string","description":"words"},)";
    }
    schema += R"("last":{"$ref":"#/$defs/x"}},"$defs":{"x":{"type":"integer"}}})";
    const auto read = [&] { check(text::check_schema(schema, "schema").has_value()); };
    bench::report(
        "schema of 21 fields checked",
        "us",
        bench::time_of<bench::microseconds>(rounds, 200, read));
}

}  // namespace

int main(int argc, char** argv) {
    const std::filesystem::path folder = argc > 1 ? argv[1] : "tests/data/chat_templates";
    for (const auto* style : {"chatml", "llama3", "qwen3", "mistral_v3"}) render(folder, style);
    read_replies();
    check_schemas();
    return 0;
}
