#include "truffula/api/openai/embeddings.hpp"

#include "truffula/api/read_json.hpp"

#include <catch2/catch.hpp>

using namespace truffula::api;
using namespace truffula::api::openai;
using ids = std::vector<std::uint32_t>;
using inputs = std::vector<embedding_input>;

namespace {

embeddings_body body_of(const std::string& fields) {
    embeddings_body body;
    const auto text = "{\"model\":\"m\"," + fields + "}";
    const auto why = read_json(text, embeddings_body::schema(), &body);
    if (why) FAIL(why->text);
    return body;
}

std::optional<fault> read(const std::string& input, inputs& to, bool is_strict = true) {
    auto body = body_of("\"input\":" + input);
    return read_inputs(std::move(body.input), is_strict, to);
}

std::string repeated(const std::string& what, std::size_t count) {
    std::string list = "[";
    for (std::size_t i = 0; i < count; ++i) list += (i > 0 ? "," : "") + what;
    return list + "]";
}

}  // namespace

TEST_CASE("embeddings: the four shapes of input", "[api]") {
    inputs all;
    SECTION("a text") {
        REQUIRE_FALSE(read(R"("a\u00fcb")", all));
        REQUIRE(all.size() == 1);
        CHECK(
            all[0].text ==
            "a\xC3\xBC"
            "b");
        CHECK_FALSE(all[0].ids);
    }
    SECTION("texts") {
        REQUIRE_FALSE(read(R"(["a","b"])", all));
        REQUIRE(all.size() == 2);
        CHECK(all[1].text == "b");
    }
    SECTION("token ids") {
        REQUIRE_FALSE(read("[1,2,4294967295]", all));
        REQUIRE(all.size() == 1);
        CHECK(all[0].ids == ids{1, 2, 4294967295});
    }
    SECTION("lists of token ids") {
        REQUIRE_FALSE(read("[[1],[2,3]]", all));
        REQUIRE(all.size() == 2);
        CHECK(all[1].ids == ids{2, 3});
    }
}

TEST_CASE("embeddings: what is no input names the field", "[api]") {
    for (const auto* const wrong :
         {"[]",
          "\"\"",
          R"(["a",""])",
          "[[]]",
          "[1,\"a\"]",
          "[-1]",
          "[1.5]",
          "[4294967296]",
          "7",
          "{}",
          "true",
          "[null]",
          R"([["a"]])",
          "[[1],[[2]]]"}) {
        CAPTURE(wrong);
        inputs all;
        const auto f = read(wrong, all);
        REQUIRE(f);
        CHECK(f->status == 400);
        CHECK(f->param == "input");
        CHECK(f->message.starts_with("`input` must"));
    }
}

TEST_CASE("embeddings: the most inputs", "[api]") {
    inputs all;
    CHECK_FALSE(read(repeated("\"a\"", 2048), all));
    CHECK(all.size() == 2048);
    all.clear();
    const auto f = read(repeated("\"a\"", 2049), all);
    REQUIRE(f);
    CHECK(f->message.find("2048") != std::string::npos);
    CHECK(f->message.find("2049") != std::string::npos);
}

TEST_CASE("embeddings: a LoRAX router reads texts only, of any number", "[api]") {
    inputs all;
    CHECK_FALSE(read(R"(["a",""])", all, false));
    CHECK(all.size() == 2);
    all.clear();
    CHECK_FALSE(read("[]", all, false));
    CHECK(all.empty());
    CHECK_FALSE(read(repeated("\"a\"", 2049), all, false));
    all.clear();
    CHECK(read("[1]", all, false));
}

TEST_CASE("embeddings: the other fields", "[api]") {
    CHECK_FALSE(check_fields(body_of(R"("input":"a")")));
    CHECK_FALSE(check_fields(body_of(R"("input":"a","encoding_format":"float","dimensions":1)")));
    CHECK_FALSE(check_fields(body_of(R"("input":"a","encoding_format":"base64","user":"u")")));
    const auto format = check_fields(body_of(R"("input":"a","encoding_format":"int8")"));
    REQUIRE(format);
    CHECK(format->param == "encoding_format");
    const auto size = check_fields(body_of(R"("input":"a","dimensions":0)"));
    REQUIRE(size);
    CHECK(size->param == "dimensions");
}

TEST_CASE("embeddings: answers", "[api]") {
    const std::vector<float> first{1.0F, -2.0F};
    const std::vector<float> second{0.25F};
    const vectors all{first, second};
    std::string out;
    SECTION("as numbers") {
        append_embeddings(out, all, false, "m", 7);
        CHECK(
            out ==
            R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[1.0,-2.0]},)"
            R"({"object":"embedding","index":1,"embedding":[0.25]}],"model":"m",)"
            R"("usage":{"prompt_tokens":7,"total_tokens":7}})");
    }
    SECTION("in base64") {
        append_embeddings(out, {first}, true, "m", 7);
        CHECK(out.find(R"("embedding":"AACAPwAAAMA=")") != std::string::npos);
    }
    SECTION("of a LoRAX router") {
        append_lorax_embeddings(out, all);
        CHECK(
            out == R"({"embeddings":[{"index":0,"embedding":[1.0,-2.0],"object":"embedding"},)"
                   R"({"index":1,"embedding":[0.25],"object":"embedding"}]})");
    }
}
