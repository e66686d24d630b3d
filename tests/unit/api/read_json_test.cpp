#include "truffula/api/read_json.hpp"

#include "truffula/api/generate_body.hpp"

#include <catch2/catch.hpp>

#include <limits>

using namespace truffula;

namespace {

struct outcome {
    int status = 200;
    std::string text;
    api::generate_body body;
};

outcome read(const std::string& text) {
    outcome o;
    const auto refused = api::read_json(text, api::generate_body::switch_schema(), &o.body);
    if (refused) {
        o.status = refused->status;
        o.text = refused->text;
    }
    return o;
}

outcome read_parameter(const std::string& text) {
    return read(R"({"inputs":"x","parameters":{)" + text + "}}");
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("json: a whole request", "[api]") {
    const auto got =
        read(R"({"inputs":"h\u00e9 \ud83c\udf32","stream":true,"parameters":{"max_new_tokens":5,)"
             R"("stop":["a","b"],"temperature":1,"seed":18446744073709551615,"adapter_id":null}})");
    REQUIRE(got.status == 200);
    CHECK(got.body.inputs == "hé 🌲");
    CHECK(got.body.stream);
    CHECK(got.body.parameters.max_new_tokens == 5U);
    CHECK(got.body.parameters.stop == std::vector<std::string>{"a", "b"});
    CHECK(got.body.parameters.temperature == 1.0F);
    CHECK(got.body.parameters.seed == 18446744073709551615ULL);
    CHECK_FALSE(got.body.parameters.adapter_id);
}

TEST_CASE("json: what is no JSON is a 400", "[api]") {
    for (const std::string text :
         {"",
          "{",
          "nonsense",
          "{\"inputs\":\"x\"",
          "{\"inputs\":NaN}",
          "{\"inputs\":\"\xff\"}",
          "\xef\xbb\xbf{\"inputs\":\"x\"}",
          "{\"inputs\":\"\\ud800\"}",
          "{'inputs':'x'}"}) {
        INFO(text);
        const auto got = read(text);
        CHECK(got.status == 400);
        CHECK(has(got.text, "Failed to parse the request body as JSON: "));
    }
    CHECK(read_parameter(R"("temperature":1e400)").status == 400);
}

TEST_CASE("json: nesting has a limit", "[api]") {
    const auto nested = [](std::size_t depth) {
        return R"({"inputs":"x","other":)" + std::string(depth, '[') + std::string(depth, ']') +
               "}";
    };
    CHECK(read(nested(api::max_json_depth - 1)).status == 200);
    CHECK(read(nested(api::max_json_depth)).status == 400);
    CHECK(read(nested(1'000'000)).status == 400);
}

TEST_CASE("json: a wrong type names the field", "[api]") {
    const char* rows[] = {
        R"("max_new_tokens":"5")",
        R"("max_new_tokens":-1)",
        R"("max_new_tokens":1.5)",
        R"("max_new_tokens":4294967296)",
        R"("top_k":2147483648)",
        R"("seed":18446744073709551616)",
        R"("seed":-1)",
        R"("do_sample":1)",
        R"("do_sample":null)",
        R"("stop":"a")",
        R"("stop":[1])",
        R"("stop":[null])",
        R"("stop":[["a"]])",
        R"("stop":{"a":1})",
        R"("adapter_id":7)",
        R"("temperature":"hot")",
        R"("temperature":[1])",
        R"("temperature":1e39)",
        R"("merged_adapters":[])",
        R"("merged_adapters":{"ids":["a"],"weights":3})",
        R"("merged_adapters":{"ids":["a"],"weights":3.5})",
        R"("merged_adapters":{"ids":"a","weights":[3]})",
        R"("merged_adapters":{"ids":["a"],"weights":["1"]})",
        R"("details":true,"details":true)",
    };
    for (const auto* row : rows) {
        INFO(row);
        const auto got = read_parameter(row);
        CHECK(got.status == 422);
        CHECK(has(got.text, "Failed to deserialize the JSON body into the target type: "));
        CHECK(has(got.text, "parameters"));
    }
    CHECK(read("{}").status == 422);
    CHECK(has(read("{}").text, "missing field `inputs`"));
    CHECK(read("[]").status == 422);
    CHECK(read(R"({"inputs":null})").status == 422);
}

TEST_CASE("json: numbers at the ends of their ranges are taken", "[api]") {
    const auto got = read_parameter(
        R"("top_k":-2147483648,"return_k_alternatives":2147483647,"max_new_tokens":4294967295,)"
        R"("temperature":3.4028234663852886e38,"top_p":-3.4028234663852886e38)");
    REQUIRE(got.status == 200);
    CHECK(got.body.parameters.top_k == std::numeric_limits<std::int32_t>::min());
    CHECK(got.body.parameters.return_k_alternatives == std::numeric_limits<std::int32_t>::max());
    CHECK(got.body.parameters.max_new_tokens == std::numeric_limits<std::uint32_t>::max());
    CHECK(got.body.parameters.temperature == std::numeric_limits<float>::max());
    CHECK(got.body.parameters.top_p == std::numeric_limits<float>::lowest());
    CHECK(read_parameter(R"("top_k":-2147483649)").status == 422);
}

TEST_CASE("json: a value that is not among the choices names them", "[api]") {
    const auto with = [](const std::string& type) {
        return read_parameter(R"("response_format":{"type":")" + type + "\"}");
    };
    CHECK(with("json_object").status == 200);
    const auto got = with("xml");
    CHECK(got.status == 422);
    CHECK(
        has(got.text,
            "parameters.response_format.type: unknown value, expected one of text, json_object, "));
}

TEST_CASE("json: a field that is missing is told with the object that lacks it", "[api]") {
    api::generate_body body;
    const auto why = api::read_json(
        R"({"inputs":"x","parameters":{"response_format":{}}})",
        api::generate_body::switch_schema(),
        &body);
    REQUIRE(why);
    CHECK(why->missing == "type");
    CHECK(why->path == "parameters.response_format");
}

TEST_CASE("json: what follows the body's value is ignored", "[api]") {
    CHECK(read(R"({"inputs":"x"} and more})").body.inputs == "x");
    CHECK(read(R"({"inputs":"x"} and more})").status == 200);
}

TEST_CASE("json: what a client wrote is quoted in part, or not at all", "[api]") {
    const std::string name(100, 'n');
    const auto twice = R"({"a":1,")" + name + R"(":1,")" + name + R"(":2})";
    const auto got = read_parameter(R"("response_format":{"type":"text","schema":)" + twice + '}');
    CHECK(got.status == 422);
    CHECK(has(got.text, "duplicate field `" + name.substr(0, 64) + "`"));
    const auto wrong = read(R"({"inputs":secret})");
    CHECK(wrong.status == 400);
    CHECK_FALSE(has(wrong.text, "s'"));
    CHECK_FALSE(has(read("{\"inputs\":\"secret\xff\"}").text, "secret"));
}

TEST_CASE("json: what is not known is left alone", "[api]") {
    const auto got = read(R"({"inputs":"x","model":{"a":[1,{"b":null}]},"parameters":{"k":[[]]}})");
    CHECK(got.status == 200);
    CHECK(got.body.inputs == "x");
}

TEST_CASE("json: a schema is kept as compact text in the order sent", "[api]") {
    const auto got = read_parameter(
        R"("response_format":{"type":"json_object","schema":{"z" : 1.0, "a": [true , null]}})");
    REQUIRE(got.status == 200);
    CHECK(
        got.body.parameters.response_format->answer_schema.text == R"({"z":1.0,"a":[true,null]})");
}

TEST_CASE("json: a key given twice is refused in what is kept as text, too", "[api]") {
    const auto with = [](const std::string& schema) {
        return read_parameter(
            R"("response_format":{"type":"json_object","schema":)" + schema + '}');
    };
    CHECK(with(R"({"a":{"b":1},"c":[{"b":1},{"b":2}],"b":{}})").status == 200);
    for (const auto* const twice :
         {R"({"a":1,"a":1})", R"({"x":{"a":1,"a":2}})", R"([{"a":{},"b":[],"a":{}}])"}) {
        INFO(twice);
        const auto got = with(twice);
        CHECK(got.status == 422);
        CHECK(has(got.text, "parameters.response_format.schema: duplicate field `a`"));
    }
    // Nobody reads these.
    CHECK(read(R"({"inputs":"x","other":{"a":1,"a":2}})").status == 200);
}

TEST_CASE("json: content types", "[api]") {
    CHECK(api::is_json_content_type("application/json"));
    CHECK(api::is_json_content_type("Application/JSON; charset=utf-8"));
    CHECK(api::is_json_content_type("application/vnd.api+json"));
    CHECK(api::is_json_content_type("application/x-a.b+json"));
    CHECK_FALSE(api::is_json_content_type("application/a b+json"));
    CHECK_FALSE(api::is_json_content_type("application/a,b+json"));
    CHECK_FALSE(api::is_json_content_type("application/xjson"));
    CHECK_FALSE(api::is_json_content_type("text/json"));
    CHECK_FALSE(api::is_json_content_type("application/jsonp"));
    CHECK_FALSE(api::is_json_content_type(""));
    CHECK(api::wrong_content_type().status == 415);
}
