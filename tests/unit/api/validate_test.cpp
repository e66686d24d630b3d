#include "truffula/api/validate.hpp"

#include "truffula/api/read_json.hpp"

#include <catch2/catch.hpp>

using namespace truffula;

namespace {

const api::limits allowed;

api::generate_body body_of(const std::string& parameters, const std::string& inputs = "hello") {
    api::generate_body body;
    const auto text = R"({"inputs":")" + inputs + R"(","parameters":{)" + parameters + "}}";
    const auto refused = api::read_json(text, api::generate_body::schema(), &body);
    INFO(text);
    REQUIRE_FALSE(refused);
    return body;
}

/// What is said of these parameters; empty: nothing.
std::string fault(const std::string& parameters, const std::string& inputs = "hello") {
    const auto checked = api::check_parameters(body_of(parameters, inputs), allowed);
    return checked ? "" : client_message(checked.error());
}

std::string endpoint_fault(const std::string& parameters, bool is_streamed) {
    const auto body = body_of(parameters);
    const auto checked = api::check_endpoint(body.parameters, allowed, is_streamed);
    return checked ? "" : client_message(checked.error());
}

std::string length_fault(const std::string& parameters, std::optional<std::size_t> tokens) {
    const auto body = body_of(parameters);
    const auto checked = api::check_lengths(body.parameters, allowed, tokens);
    return checked ? "" : client_message(checked.error());
}

std::string said(const std::string& text) {
    return "Input validation error: " + text;
}

}  // namespace

TEST_CASE("validate: what the way of answering allows (0a to 0d)", "[api]") {
    CHECK(endpoint_fault(R"("best_of":2)", false).empty());
    CHECK(
        endpoint_fault(R"("best_of":3)", false) ==
        said("`best_of` must be > 0 and <= 2. Given: 3"));
    api::limits one = allowed;
    one.max_best_of = 1;
    const auto two = body_of(R"("best_of":2)");
    CHECK(
        client_message(api::check_endpoint(two.parameters, one, false).error()) ==
        said("`best_of` != 1 is not allowed for this endpoint"));
    CHECK(endpoint_fault(R"("best_of":0)", false).empty());
    for (const auto* n : {"0", "2"}) {
        CHECK(
            endpoint_fault(std::string{R"("best_of":)"} + n, true) ==
            said("`best_of` != 1 is not supported when streaming tokens"));
    }
    CHECK(endpoint_fault(R"("best_of":1)", true).empty());
    CHECK(
        endpoint_fault(R"("decoder_input_details":true)", true) ==
        said("`decoder_input_details` == true is not supported when streaming tokens"));
}

TEST_CASE("validate: every rule on both sides of its limit (2 to 18)", "[api]") {
    struct row {
        const char* good;
        const char* bad;
        const char* words;
    };
    const row rows[] = {
        {R"("adapter_id":"a")",
         R"("adapter_id":"a","merged_adapters":{"ids":["b"],"weights":[1]})",
         "at most one of `adapter_id` or `adapters` may be provided"},
        {R"("merged_adapters":{"ids":["b"],"weights":[1]})",
         R"("merged_adapters":{"ids":[],"weights":[]})",
         "at least one adapter ID must be provided when setting `adapters`"},
        {R"("merged_adapters":{"ids":["b","c"],"weights":[1,0.5]})",
         R"("merged_adapters":{"ids":["b","c"],"weights":[1]})",
         "number of adapter IDs must match number of adapter weights"},
        {R"("merged_adapters":{"ids":["b"],"weights":[1],"merge_strategy":"TIES"})",
         R"("merged_adapters":{"ids":["b"],"weights":[1],"merge_strategy":"best"})",
         "`merge_strategy` must be one of linear, ties, dare_linear, dare_ties"},
        {R"("adapter_id":"a b")",
         R"("adapter_id":"a\nb")",
         "`adapter_id` must not contain control characters"},
        {R"("best_of":2,"top_k":1)",
         R"("best_of":2)",
         "you must use sampling when `best_of` is > 1"},
        {R"("temperature":0)", R"("temperature":-0.01)", "`temperature` must be non-negative"},
        {R"("repetition_penalty":0.01)",
         R"("repetition_penalty":0)",
         "`repetition_penalty` must be strictly positive"},
        {R"("frequency_penalty":2)",
         R"("frequency_penalty":2.01)",
         "`frequency_penalty` must be >= -2.0 and <= 2.0"},
        {R"("presence_penalty":-2)",
         R"("presence_penalty":-2.01)",
         "`presence_penalty` must be >= -2.0 and <= 2.0"},
        {R"("top_p":1.0)", R"("top_p":1.01)", "`top_p` must be > 0.0 and < 1.0"},
        {R"("top_p":0.01)", R"("top_p":0)", "`top_p` must be > 0.0 and < 1.0"},
        {R"("typical_p":0.99)", R"("typical_p":1.0)", "`typical_p` must be > 0.0 and < 1.0"},
        {R"("top_k":1)", R"("top_k":0)", "`top_k` must be strictly positive"},
        {R"("return_k_alternatives":1)",
         R"("return_k_alternatives":0)",
         "`return_k_alternatives` must be strictly positive"},
        {R"("max_new_tokens":1)",
         R"("max_new_tokens":0)",
         "`max_new_tokens` must be strictly positive"},
        {R"("stop":["1","2","3","4","5","6","7","8","9","10"])",
         R"("stop":["1","2","3","4","5","6","7","8","9","10","11"])",
         "`stop` supports up to 10 stop sequences. Given: 11"},
        {R"("seed":1)",
         R"("seed":1,"best_of":2,"do_sample":true)",
         "`seed` must not be set when `best_of` > 1"},
        {R"("truncate":1792)",
         R"("truncate":1793)",
         "`truncate` must be strictly positive and less than 1792. Given: 1793"},
        {R"("truncate":1)",
         R"("truncate":0)",
         "`truncate` must be strictly positive and less than 1792. Given: 0"},
    };
    for (const auto& r : rows) {
        INFO(r.bad);
        CHECK(fault(r.good).empty());
        CHECK(fault(r.bad) == said(r.words));
    }
    CHECK(fault("", "") == said("`inputs` cannot be empty"));
}

TEST_CASE("validate: names and tokens of adapters have a size", "[api]") {
    const auto text = [](const char* field, std::size_t size) {
        return '"' + std::string{field} + R"(":")" + std::string(size, 'x') + '"';
    };
    const auto merged = [](std::size_t first, std::size_t second) {
        return R"("merged_adapters":{"ids":[")" + std::string(first, 'x') + R"(",")" +
               std::string(second, 'y') + R"("],"weights":[1,1]})";
    };
    for (const auto* field : {"adapter_id", "adapter_source"}) {
        CHECK(fault(text(field, 1024)).empty());
        CHECK(
            fault(text(field, 1025)) ==
            said("`" + std::string{field} + "` must have at most 1024 bytes. Given: 1025"));
    }
    CHECK(fault(text("api_token", 4096)).empty());
    CHECK(
        fault(text("api_token", 4097)) ==
        said("`api_token` must have at most 4096 bytes. Given: 4097"));
    CHECK(fault(merged(1000, 24)).empty());
    CHECK(
        fault(merged(1000, 25)) ==
        said("`merged_adapters.ids` together must have at most 1024 bytes. Given: 1025"));
}

TEST_CASE("validate: lengths (20 to 22)", "[api]") {
    CHECK(length_fault(R"("max_new_tokens":48)", 2000) != "");  // 21
    CHECK(length_fault(R"("max_new_tokens":256)", 1792).empty());
    CHECK(
        length_fault(R"("max_new_tokens":257)", 1792) ==
        said("`inputs` tokens + `max_new_tokens` must be <= 2048. Given: 1792 `inputs` tokens and "
             "257 `max_new_tokens`"));
    CHECK(length_fault("", 1792).empty());
    CHECK(length_fault("", 1793) == said("`inputs` must have less than 1792 tokens. Given: 1793"));
    CHECK(length_fault(R"("max_new_tokens":256)", std::nullopt).empty());
    CHECK(
        length_fault(R"("max_new_tokens":257)", std::nullopt) ==
        said("`max_new_tokens` must be <= 256. Given: 257"));
    CHECK(length_fault(R"("max_new_tokens":2038,"truncate":10)", std::nullopt).empty());
    CHECK(length_fault(R"("max_new_tokens":2039,"truncate":10)", std::nullopt) != "");
    CHECK(length_fault(R"("max_new_tokens":4294967295)", 10) != "");
}

TEST_CASE("validate: new tokens that nobody asked for are what is left", "[api]") {
    const auto body = body_of("");
    CHECK(api::check_lengths(body.parameters, allowed, 48)->new_tokens == 2000);
    CHECK(api::check_lengths(body.parameters, allowed, std::nullopt)->new_tokens == 256);
}

TEST_CASE("validate: more than one sequence needs any way of sampling", "[api]") {
    for (const auto* way :
         {R"("do_sample":true)",
          R"("temperature":0.5)",
          R"("top_k":1)",
          R"("top_p":0.5)",
          R"("typical_p":0.5)"}) {
        INFO(way);
        CHECK(fault(R"("best_of":2,)" + std::string{way}).empty());
    }
}

TEST_CASE("validate: what is left may be more than a request can say", "[api]") {
    api::limits wide;
    wide.max_total_tokens = std::uint64_t{1} << 33U;
    CHECK(api::check_lengths({}, wide, 10)->new_tokens == 4294967295);
    CHECK(api::check_lengths({}, wide, std::nullopt)->new_tokens == 4294967295);
}

TEST_CASE("validate: a request takes what was asked, else the defaults", "[api]") {
    const auto made = [](const std::string& parameters, bool is_streamed = false) {
        return api::make_request(
            body_of(parameters).parameters, allowed, {3, 5}, {7, 8, 9}, "hello", is_streamed);
    };
    const auto plain = made("");
    CHECK(plain.inputs == "hello");
    CHECK(plain.input_ids == std::vector<std::uint32_t>{7, 8, 9});
    CHECK(plain.input_length == 3);
    CHECK(plain.stopping.max_new_tokens == 5);
    CHECK(plain.truncate == 1792);
    CHECK(plain.sampling.temperature == 1.0F);
    CHECK(plain.sampling.top_p == 1.0F);
    CHECK_FALSE(plain.sampling.schema);
    CHECK_FALSE(plain.every_step);
    CHECK_FALSE(plain.is_streamed);
    CHECK(made("").sampling.seed != plain.sampling.seed);

    const auto asked =
        made(R"("truncate":2,"temperature":0.5,"seed":4,"stop":["a"],"ignore_eos_token":true,)"
             R"("response_format":{"type":"json_object","schema":{"a":1}})");
    CHECK(asked.truncate == 2);
    CHECK(asked.sampling.temperature == 0.5F);
    CHECK(asked.sampling.seed == 4);
    CHECK(asked.sampling.schema == R"({"a":1})");
    CHECK(asked.stopping.stop_sequences == std::vector<std::string>{"a"});
    CHECK(asked.stopping.ignore_eos_token);
    CHECK_FALSE(made(R"("response_format":{"type":"text","schema":null})").sampling.schema);

    CHECK(made("", true).every_step);
    CHECK(made(R"("details":true)").every_step);
    CHECK(made(R"("best_of":2)").every_step);
    CHECK(made(R"("decoder_input_details":true)").prefill_logprobs);
}
