#include "truffula/text/tools.hpp"

#include "truffula/text/tool_reply.hpp"

#include <catch2/catch.hpp>

using namespace truffula;
using kind = text::tool_choice::kind;

namespace {

const std::string two = R"([
    {"type": "function", "function": {"name": "find", "description": "Finds.", "parameters":
        {"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": "integer"}},
         "required": ["z"]}}},
    {"type": "function", "function": {"name": "plant"}}])";

const std::string find_schema =
    R"("find":{"description":"Finds.","additionalProperties":false,"properties":)"
    R"({"_name":{"type":"string","const":"find"},"z":{"type":"string"},"a":{"type":"integer"}},)"
    R"("required":["_name","z"]})";

const std::string plant_schema =
    R"("plant":{"description":"","additionalProperties":false,"properties":)"
    R"({"_name":{"type":"string","const":"plant"}},"required":["_name"]})";

const std::string no_tool_schema =
    R"("no_tool":{"description":"An answer in words, when no tool is of use",)"
    R"("additionalProperties":false,"properties":{"_name":{"type":"string","const":"no_tool"},)"
    R"("content":{"type":"string","description":"The answer"}},"required":["_name","content"]})";

std::string whole(const std::string& functions, const std::string& any) {
    return R"({"$functions":{)" + functions + R"(},"properties":{"function":{"anyOf":[)" + any +
           R"(]}},"required":["function"]})";
}

std::string ref(const std::string& name) {
    return R"({"$ref":"#/$functions/)" + name + "\"}";
}

text::tool_set read(const std::string& tools, kind what = kind::automatic, std::string name = {}) {
    const auto got = text::tool_set::read(tools, {what, std::move(name)});
    INFO((got ? std::string{} : got.error().detail));
    REQUIRE(got.has_value());
    return *got;
}

std::string words(const std::string& tools, text::tool_choice choice = {}) {
    const auto got = text::tool_set::read(tools, choice);
    REQUIRE(got.has_error());
    CHECK(got.error().code == errc::tool_error);
    return got.error().detail;
}

std::string function(const std::string& inside) {
    return R"([{"type":"function","function":{)" + inside + "}}]";
}

std::string append(const std::string& messages, bool plain_text) {
    const auto got = text::append_tool_prompt(messages, "P", plain_text);
    REQUIRE(got.has_value());
    return *got;
}

}  // namespace

TEST_CASE("tools: the schema in the order sent, no_tool last", "[text]") {
    const auto set = read(two);
    CHECK(
        set.schema() == whole(
                            find_schema + ',' + plant_schema + ',' + no_tool_schema,
                            ref("find") + ',' + ref("plant") + ',' + ref("no_tool")));
    CHECK(set.names() == std::vector<std::string>{"find", "plant", "no_tool"});
    CHECK(read(two).schema() == set.schema());
}

TEST_CASE("tools: what the choice leaves", "[text]") {
    const auto required = read(two, kind::required);
    CHECK(
        required.schema() ==
        whole(find_schema + ',' + plant_schema, ref("find") + ',' + ref("plant")));
    const auto named = read(two, kind::named, "plant");
    CHECK(named.schema() == whole(plant_schema, ref("plant")));
    CHECK(named.names() == std::vector<std::string>{"plant"});
    CHECK(named.json() == required.json());
    const auto none = read(two, kind::none);
    CHECK(none.schema().empty());
    CHECK(none.names().empty());
    CHECK(none.json() == required.json());
    CHECK(read("[]").schema().empty());
    CHECK(words(two, {kind::named, "other"}) == "Tool with name other not found");
    CHECK(words("[]", {kind::named, "a"}) == "Tool with name a not found");
    CHECK_THAT(words("[]", {kind::required, ""}), Catch::StartsWith("`tool_choice`"));
}

TEST_CASE("tools: references of parameters go on leading somewhere", "[text]") {
    const auto set = read(
        function(R"("name":"f","parameters":{"type":"object","additionalProperties":true,
            "properties":{"x":{"$ref":"#/$defs/p"},"y":{"items":{"$ref":"#/definitions/q"}},
                          "w":{"$ref":"#/properties/x"}},
            "$defs":{"p":{"type":"null"}},"definitions":{"q":{"$ref":"#/$defs/p"}}})"),
        kind::required);
    CHECK(
        set.schema() ==
        R"({"$functions":{"f":{"description":"","additionalProperties":true,"properties":)"
        R"({"_name":{"type":"string","const":"f"},"x":{"$ref":"#/$defs/f-p"},)"
        R"("y":{"items":{"$ref":"#/$defs/f-q"}},"w":{"$ref":"#/$functions/f/properties/x"}},)"
        R"("required":["_name"]}},"$defs":{"f-p":{"type":"null"},"f-q":{"$ref":"#/$defs/f-p"}},)"
        R"("properties":{"function":{"anyOf":[{"$ref":"#/$functions/f"}]}},"required":["function"]})");
}

TEST_CASE("tools: what only looks like a reference is left as it is", "[text]") {
    for (const auto* const value : {R"("")", R"("x")", R"("a/b/c")"}) {
        const auto like = std::string{R"({"$ref":)"} + value + '}';
        const auto set = read(function(
            R"("name":"f","parameters":{"properties":{"x":{"default":)" + like + R"(,"enum":[)" +
            like + "]}}}"));
        CHECK_THAT(
            set.schema(),
            Catch::Contains(R"("x":{"default":)" + like + R"(,"enum":[)" + like + "]}"));
    }
}

TEST_CASE("tools: bad ones name the field", "[text]") {
    CHECK(words("{}") == "`tools`: must be a list");
    CHECK(words("[") == "`tools`: is not JSON");
    CHECK(words("[3]") == "`tools[0]`: must be an object");
    CHECK(words(R"([{"type":"web"}])") == "`tools[0].type`: must be \"function\"");
    CHECK_THAT(words("[{}]"), Catch::StartsWith("`tools[0].function`: must be an object"));
    for (const auto* name : {R"("a":1)", R"("name":3)", R"("name":"")", R"("name":"a b")"}) {
        CHECK_THAT(words(function(name)), Catch::StartsWith("`tools[0].function.name`: must be 1"));
    }
    const auto named = [](std::size_t n) {
        return function("\"name\":\"" + std::string(n, 'n') + '"');
    };
    CHECK(read(named(64)).names().size() == 2);
    CHECK_THAT(words(named(65)), Catch::StartsWith("`tools[0].function.name`"));
    CHECK_THAT(words(function(R"("name":"no_tool")")), Catch::Contains("meaning of its own"));
    CHECK_THAT(
        words(function(R"("name":"f","description":1)")),
        Catch::StartsWith("`tools[0].function.description`"));
    CHECK(
        words(function(R"("name":"f","parameters":[])")) ==
        "`tools[0].function.parameters`: must be a JSON schema of an object");
    CHECK(
        words(function(R"("name":"f","parameters":{"type":"string"})")) ==
        "`tools[0].function.parameters.type`: must be \"object\"");
    CHECK_THAT(
        words(function(R"("name":"f","parameters":{"properties":{"a":{"type":"text"}}})")),
        Catch::StartsWith("`tools[0].function.parameters.properties.a.type`: must be one"));
    CHECK(
        words(R"([{"function":{"name":"f"}},{"function":{"name":"f"}}])") ==
        "`tools[1].function.name`: there are two tools named f");
    CHECK_THAT(words(std::string(1000, '[')), Catch::StartsWith("`tools`: is not JSON"));
    CHECK_THAT(
        words(std::string(1000, '[') + std::string(1000, ']')), Catch::Contains("too deeply"));

    const auto many = [](std::size_t n) {
        std::string list;
        for (std::size_t i = 0; i < n; ++i) {
            list += (list.empty() ? "[" : ",");
            list += R"({"function":{"name":"f)" + std::to_string(i) + "\"}}";
        }
        return list + ']';
    };
    CHECK(read(many(128)).names().size() == 129);
    CHECK(words(many(129)) == "`tools`: at most 128 are allowed. Given: 129");
}

TEST_CASE(
    "tools: the prompt says how to call, and shows the tools if nothing else does", "[text]") {
    const auto set = read(two);
    const auto shown = set.prompt(false, std::nullopt);
    CHECK_THAT(shown, Catch::StartsWith("\n---\n" + set.json() + '\n'));
    CHECK_THAT(shown, Catch::Contains("\"_name\"") && Catch::Contains("\"no_tool\""));
    const auto bare = set.prompt(true, std::nullopt);
    CHECK(shown == "\n---\n" + set.json() + '\n' + bare.substr(5));
    CHECK_THAT(
        read(two, kind::required).prompt(true, std::nullopt), !Catch::Contains("\"no_tool\""));
    CHECK(set.prompt(true, "mine") == "\n---\nmine");
    CHECK(set.prompt(false, "") == "\n---\n" + set.json() + '\n');
}

TEST_CASE("tools: the prompt goes into the last message", "[text]") {
    const std::string text = R"([{"role":"system","content":"s"},{"role":"user","content":"u"}])";
    CHECK(
        append(text, true) ==
        R"([{"role":"system","content":"s"},{"role":"user","content":"uP"}])");
    CHECK(append(text, false) == text);
    const std::string parts = R"([{"role":"user","content":[{"type":"text","text":"u"}]}])";
    for (const bool plain : {true, false}) {
        CHECK(
            append(parts, plain) ==
            R"([{"role":"user","content":[{"type":"text","text":"u"},{"type":"text","text":"P"}]}])");
        CHECK(append(R"([{"role":"user"}])", plain) == R"([{"role":"user","content":"P"}])");
        CHECK(append(R"([{"content":null}])", plain) == R"([{"content":"P"}])");
    }
    for (const auto* wrong : {"{}", "[]", "[1]", "[", "3"}) {
        const auto got = text::append_tool_prompt(wrong, "P", true);
        REQUIRE(got.has_error());
        CHECK(got.error().code == errc::validation);
    }
}

TEST_CASE("tools: a reply made after the schema is read", "[text]") {
    const auto set = read(two);
    const auto got = text::read_tool_reply(R"({"function":{"_name":"find","z":"q"}})", set.names());
    REQUIRE(got.has_value());
    CHECK(got->name == "find");
    CHECK(got->arguments == R"({"z":"q"})");
}
