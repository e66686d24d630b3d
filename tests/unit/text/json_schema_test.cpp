#include "truffula/text/json_schema.hpp"

#include <catch2/catch.hpp>

using namespace truffula;

namespace {

std::string checked(const std::string& schema, const text::schema_limits& limits = {}) {
    const auto got = text::check_schema(schema, "response_format.schema", limits);
    INFO(schema.substr(0, 200) << ": " << (got ? std::string{} : got.error().detail));
    REQUIRE(got.has_value());
    return *got;
}

std::string words(const std::string& schema, const text::schema_limits& limits = {}) {
    const auto got = text::check_schema(schema, "response_format.schema", limits);
    INFO(schema.substr(0, 200));
    REQUIRE(got.has_error());
    CHECK(got.error().code == errc::validation);
    return got.error().detail;
}

std::string at(const std::string& path, const std::string& rest) {
    return "`response_format.schema" + path + "`: " + rest;
}

std::string replace(std::string text, const std::string& what, const std::string& with) {
    return text.replace(text.find(what), what.size(), with);
}

}  // namespace

TEST_CASE("json schema: compact, keys in the order they came", "[text]") {
    CHECK(
        checked(R"({ "type": "object", "properties": { "z": {"type": ["string", "null"]},
            "a": {"enum": [1.50, "é"]} }, "required": ["z"], "x-own": {"any": []} })") ==
        R"({"type":"object","properties":{"z":{"type":["string","null"]},)"
        R"("a":{"enum":[1.5,"é"]}},"required":["z"],"x-own":{"any":[]}})");
    CHECK(checked("{}") == "{}");
}

TEST_CASE("json schema: keywords of all drafts", "[text]") {
    checked(R"({"$schema":"http://json-schema.org/draft-07/schema#","$id":"x","title":"t",
        "anyOf":[{"const":1},true],"oneOf":[{}],"allOf":[{"not":{"type":"null"}}],
        "minimum":1,"exclusiveMinimum":true,"exclusiveMaximum":5,"multipleOf":0.5,
        "minLength":0,"pattern":"^a","format":"date","items":[{},{"type":"array"}],
        "additionalItems":false,"uniqueItems":true,"prefixItems":[{}],"contains":{},
        "dependencies":{"a":["b"],"c":{}},"dependentRequired":{"a":["b"]},
        "patternProperties":{"^x":{}},"propertyNames":{"maxLength":3},"additionalProperties":{},
        "if":{},"then":{},"else":{},"default":null,"examples":[1]})");
}

TEST_CASE("json schema: what is wrong has a path", "[text]") {
    CHECK(words("[]") == at("", "must be a JSON schema: an object"));
    CHECK(words("true") == at("", "must be a JSON schema: an object"));
    CHECK(words("{") == at("", "is not JSON"));
    CHECK(words(R"({"type":"object","type":"null"})") == at("", "key `type` is there twice"));
    CHECK_THAT(words(R"({"type":"text"})"), Catch::StartsWith(at(".type", "must be one")));
    CHECK_THAT(words(R"({"type":[]})"), Catch::StartsWith(at(".type", "must be one")));
    CHECK_THAT(words(R"({"type":["null","null"]})"), Catch::StartsWith(at(".type", "must be")));
    CHECK(
        words(R"({"properties":{"a":{"items":{"minLength":-1}}}})") ==
        at(".properties.a.items.minLength", "must be an integer of 0 or more"));
    CHECK(words(R"({"properties":[]})") == at(".properties", "must be an object of schemas"));
    CHECK(
        words(R"({"properties":{"a":3}})") ==
        at(".properties.a", "must be a JSON schema: an object"));
    CHECK(words(R"({"anyOf":[]})") == at(".anyOf", "must be a list of schemas, and not empty"));
    CHECK(words(R"({"anyOf":[{},1]})") == at(".anyOf[1]", "must be a JSON schema: an object"));
    CHECK(words(R"({"items":[1]})") == at(".items[0]", "must be a JSON schema: an object"));
    CHECK(words(R"({"enum":[]})") == at(".enum", "must be a list, and not empty"));
    CHECK(
        words(R"({"required":["a","a"]})") ==
        at(".required", "must be a list of different strings"));
    CHECK(words(R"({"required":"a"})") == at(".required", "must be a list of different strings"));
    CHECK(words(R"({"multipleOf":0})") == at(".multipleOf", "must be a number above 0"));
    CHECK(words(R"({"minimum":"1"})") == at(".minimum", "must be a number"));
    CHECK(words(R"({"uniqueItems":1})") == at(".uniqueItems", "must be true or false"));
    CHECK(words(R"({"pattern":1})") == at(".pattern", "must be a string"));
    CHECK(
        words(R"({"dependencies":{"a":1}})") ==
        at(".dependencies.a", "must be a JSON schema: an object"));
    CHECK_THAT(words(R"({"dependentRequired":{"a":1}})"), Catch::Contains("lists of different"));
}

TEST_CASE("json schema: references are local and lead to a schema", "[text]") {
    checked(R"({"properties":{"a":{"$ref":"#/$defs/x%20y"}},"$defs":{"x%20y":{}}})");
    checked(R"({"$defs":{"a/b":{}},"items":{"$ref":"#/$defs/a~1b"}})");
    CHECK(
        words(R"({"items":{"$ref":"http://example.com/x"}})") ==
        at(".items.$ref", "must begin with `#`: nothing is fetched"));
    for (const auto* target : {"#/$defs/b", "#x", "#/required", "#/~2", "#/anyOf/7", "#/anyOf/x"}) {
        CHECK(
            words(replace(
                R"({"required":["a"],"anyOf":[{}],"items":{"$ref":"T"},"$defs":{"a":{}}})",
                "T",
                target)) == at(".items.$ref", "`" + std::string{target} + "` leads to no schema"));
    }
    CHECK(words(R"({"$ref":3})") == at(".$ref", "must be a string"));
    const std::string circle = at("", "refers to itself, which shards cannot follow");
    CHECK(words(R"({"$ref":"#"})") == circle);
    CHECK(words(R"({"properties":{"next":{"$ref":"#"}}})") == circle);
    CHECK(words(R"({"$ref":"#/$defs/a","$defs":{"a":{"items":{"$ref":"#/$defs/b"}},
            "b":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/a"}]}}})") == circle);
    // A circle that nothing leads to does no harm.
    checked(R"({"type":"null","$defs":{"a":{"items":{"$ref":"#/$defs/a"}}}})");
}

TEST_CASE("json schema: limits, on both sides", "[text]") {
    text::schema_limits limits;
    limits.bytes = 30;
    const std::string thirty = R"({"description":"aaaaaaaaaaaa"})";
    REQUIRE(thirty.size() == 30);
    checked(thirty, limits);
    checked("   " + thirty + "   ", limits);
    CHECK(
        words(R"({"description":"aaaaaaaaaaaaa"})", limits) ==
        at("", "may have 30 bytes. Given: 31"));
    CHECK_THAT(words(std::string(481, ' '), limits), Catch::Contains("Given: 481"));

    const auto nested = [](int depth) {
        std::string text = "{}";
        for (int i = 0; i < depth; ++i) text = R"({"items":)" + text + '}';
        return text;
    };
    checked(nested(32));
    CHECK_THAT(words(nested(33)), Catch::EndsWith("is nested more than 32 deep"));
    CHECK_THAT(words(nested(5000)), Catch::EndsWith("is nested too deeply"));

    // a holds two of b, b two of c, …: 2^n schemas of a short text.
    const auto doubling = [](int levels) {
        std::string defs;
        for (int i = 0; i < levels; ++i) {
            const auto next = R"({"$ref":"#/$defs/s)" + std::to_string(i + 1) + "\"}";
            defs += "\"s" + std::to_string(i) + R"(":{"prefixItems":[)" + next + ',' + next + "]},";
        }
        return R"({"$ref":"#/$defs/s0","$defs":{)" + defs + "\"s" + std::to_string(levels) +
               R"(":{}}})";
    };
    checked(doubling(11));
    CHECK_THAT(words(doubling(12)), Catch::Contains("more than 8192 schemas"));
    CHECK_THAT(words(doubling(200)), Catch::Contains("more than 8192 schemas"));

    // Each refers to the next.
    const auto chain = [](int links) {
        std::string defs;
        for (int i = 0; i < links; ++i) {
            defs += "\"s" + std::to_string(i) + R"(":{"$ref":"#/$defs/s)" + std::to_string(i + 1) +
                    "\"},";
        }
        return R"({"$ref":"#/$defs/s0","$defs":{)" + defs + "\"s" + std::to_string(links) +
               R"(":{}}})";
    };
    checked(chain(250));
    CHECK_THAT(words(chain(1500)), Catch::Contains("more than 256 deep"));
}
