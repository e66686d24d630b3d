// Replies of models that were to call a tool: whatever comes, cut anywhere, gives the same.
#include "fuzz_target.hpp"
#include "truffula/text/json_schema.hpp"
#include "truffula/text/tool_reply.hpp"
#include "truffula/text/tools.hpp"

#include <nlohmann/json.hpp>

using namespace truffula;

namespace {

struct outcome {
    text::tool_delta all;
    bool failed = false;
};

outcome read(std::string_view reply, std::size_t step) {
    text::tool_reply_parser parser{{"f", "g", "no_tool"}};
    outcome o;
    for (std::size_t at = 0; at < reply.size() && !o.failed; at += step) {
        const auto got = parser.feed(reply.substr(at, step));
        o.failed = got.has_error();
        if (o.failed) break;
        if (got->name) o.all.name = got->name;
        o.all.arguments += got->arguments;
        o.all.content += got->content;
    }
    o.failed = parser.finish().has_error();
    return o;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto input = as_text(data, size);
    const auto whole = read(input, input.size() + 1);
    for (const std::size_t step : {1UL, 2UL, 7UL}) {
        const auto cut = read(input, step);
        if (cut.failed != whole.failed) __builtin_trap();
        if (whole.failed) continue;
        if (cut.all.arguments != whole.all.arguments || cut.all.content != whole.all.content ||
            cut.all.name != whole.all.name) {
            __builtin_trap();
        }
    }
    // Bytes that are no UTF-8 aside, arguments are JSON.
    if (!whole.failed && whole.all.name && nlohmann::json::accept(input) &&
        !nlohmann::json::accept(whole.all.arguments)) {
        __builtin_trap();
    }
    (void)text::check_schema(input, "schema");
    (void)text::tool_set::read(input, {});
    (void)text::append_tool_prompt(input, "prompt", true);
    return 0;
}

std::vector<std::string> fuzz_seeds() {
    return {
        R"({"function":{"_name":"f","a":"x\u00e9","b":[1,-2.5e3,{"c":null}]}})",
        R"({"function":{"b":1,"_name":"g"},"more":{}})",
        R"({"function":{"_name":"no_tool","content":"a\n\ud83c\udf33 é"}})",
        R"([{"type":"function","function":{"name":"f","description":"d","parameters":
            {"type":"object","properties":{"a":{"$ref":"#/$defs/x"}},"$defs":{"x":{}}}}}])",
        R"({"type":"object","properties":{"a":{"anyOf":[{"$ref":"#/$defs/x"},{"enum":[1]}]}},
            "$defs":{"x":{"items":{"$ref":"#"},"required":["a"]}}})",
        R"([{"role":"user","content":[{"type":"text","text":"x"}]}])"};
}
