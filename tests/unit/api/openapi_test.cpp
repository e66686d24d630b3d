#include "truffula/api/openapi.hpp"

#include "truffula/api/generate_body.hpp"
#include "truffula/api/openai/text_body.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace truffula;
using nlohmann::json;

namespace {

json document(api::compat of = api::compat::openai) {
    return json::parse(api::openapi_document(of, "1.2.3"));
}

void check_references(const json& part, const json& whole) {
    if (part.is_object() && part.contains("$ref")) {
        const std::string target = part["$ref"];
        INFO(target);
        CHECK(whole.contains(json::json_pointer(target.substr(1))));
    }
    for (const auto& one : part) {
        if (one.is_structured()) check_references(one, whole);
    }
}

}  // namespace

TEST_CASE("openapi: every reference leads somewhere", "[api]") {
    for (const auto of : {api::compat::openai, api::compat::lorax}) {
        const auto doc = document(of);
        CHECK(doc["openapi"] == "3.1.0");
        CHECK(doc["info"]["version"] == "1.2.3");
        check_references(doc, doc);
    }
}

TEST_CASE("openapi: the fields are those that are read", "[api]") {
    const auto doc = document();
    for (const auto* schema :
         {&api::generate_parameters::schema(),
          &api::tokenize_body::schema(),
          &api::openai::completion_body::schema()}) {
        const auto& shown = doc["components"]["schemas"][std::string{schema->name}]["properties"];
        CHECK(shown.size() == schema->fields.size());
        for (const auto& f : schema->fields) {
            INFO(f.name);
            REQUIRE(shown.contains(std::string{f.name}));
            CHECK_FALSE(shown[std::string{f.name}]["description"].get<std::string>().empty());
        }
    }
}

TEST_CASE("openapi: what absence and null mean", "[api]") {
    const auto schemas = document()["components"]["schemas"];
    CHECK(schemas["GenerateRequest"]["required"] == json{"inputs"});
    const auto& fields = schemas["GenerateParameters"]["properties"];
    CHECK(fields["temperature"]["type"] == json{"number", "null"});
    CHECK(fields["do_sample"]["type"] == "boolean");
    CHECK(fields["max_new_tokens"]["maximum"] == 4294967295U);
    CHECK(fields["seed"]["maximum"] == 18446744073709551615ULL);
    const auto& prompt = schemas["CompletionRequest"]["properties"]["prompt"];
    CHECK(prompt["oneOf"].size() == 4);
    CHECK(schemas["CompletionRequest"]["properties"]["stop"]["anyOf"].size() == 2);
}

TEST_CASE("openapi: LoRAX's routes have its bodies and errors", "[api]") {
    const auto doc = document(api::compat::lorax);
    const auto& completions = doc["paths"]["/v1/completions"]["post"];
    CHECK(
        completions["requestBody"]["content"]["application/json"]["schema"]["$ref"] ==
        "#/components/schemas/LoraxCompletionRequest");
    CHECK(completions["responses"]["422"]["content"].contains("text/plain"));
    CHECK(completions["responses"]["200"]["content"].contains("text/event-stream"));
}
