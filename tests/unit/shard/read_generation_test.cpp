#include "truffula/shard/read_generation.hpp"

#include "generate.pb.h"
#include "unit/shard/random_answer.hpp"

#include <catch2/catch.hpp>
#include <google/protobuf/stubs/logging.h>

#include <functional>
#include <string>

using namespace truffula;
namespace wire = generate::v1;

namespace {

wire::Generation good() {
    wire::Generation g;
    g.set_request_id(1);
    g.set_prefill_tokens_length(7);
    auto& tokens = *g.mutable_next_tokens();
    tokens.add_ids(5);
    tokens.add_logprobs(-0.5F);
    tokens.add_texts(" tree");
    tokens.add_is_special(true);
    return g;
}

result<inference::step> read(const wire::Generation& g) {
    return shard::read_generation(g.SerializeAsString());
}

}  // namespace

TEST_CASE("generation: every field arrives", "[shard]") {
    auto g = good();
    auto& tokens = *g.mutable_next_tokens();
    tokens.add_ids(6);
    tokens.add_logprobs(-1.5F);
    tokens.add_texts("s");
    tokens.add_is_special(false);
    auto& others = *tokens.add_alternative_tokens();
    others.add_ids(8);
    others.add_logprobs(-2.0F);
    others.add_texts("x");
    auto& prompt = *g.mutable_prefill_tokens();
    prompt.add_ids(3);
    prompt.add_logprobs(-0.25F);
    prompt.add_texts("The");
    auto& text = *g.mutable_generated_text();
    text.set_text(" trees");
    text.set_generated_tokens(2);
    text.set_skipped_tokens(1);
    text.set_finish_reason(wire::FINISH_REASON_STOP_SEQUENCE);
    text.set_seed(UINT64_MAX);
    const auto step = read(g).value();
    CHECK(step.prefill_length == 7);
    REQUIRE(step.prefill_tokens.size() == 1);
    CHECK(step.prefill_tokens[0].text == "The");
    REQUIRE(step.tokens.size() == 2);
    CHECK(step.tokens[0].id == 5);
    CHECK(step.tokens[0].text == " tree");
    CHECK(step.tokens[0].logprob == -0.5F);
    CHECK(step.tokens[0].special);
    CHECK_FALSE(step.tokens[0].skipped);
    CHECK(step.tokens[1].skipped);  // after the first of a speculative step
    REQUIRE(step.tokens[0].alternatives.size() == 1);
    CHECK(step.tokens[0].alternatives[0].text == "x");
    REQUIRE(step.finished);
    CHECK(step.finished->text == " trees");
    CHECK(step.finished->generated_tokens == 2);
    CHECK(step.finished->skipped_tokens == 1);
    CHECK(step.finished->reason == inference::finish_reason::stop_sequence);
    CHECK(step.finished->seed == UINT64_MAX);
}

TEST_CASE("generation: each malformed form is refused with its reason", "[shard]") {
    struct form {
        const char* words;
        std::function<void(wire::Generation&)> spoil;
    };
    const form forms[] = {
        {"no token", [](auto& g) { g.clear_next_tokens(); }},
        {"no token", [](auto& g) { g.mutable_next_tokens()->Clear(); }},
        {"unequal length", [](auto& g) { g.mutable_next_tokens()->clear_texts(); }},
        {"unequal length", [](auto& g) { g.mutable_next_tokens()->add_logprobs(-1.0F); }},
        {"unequal length", [](auto& g) { g.mutable_next_tokens()->clear_is_special(); }},
        {"unequal length", [](auto& g) { g.mutable_next_tokens()->add_is_special(false); }},
        {"unequal length", [](auto& g) { g.mutable_prefill_tokens()->add_ids(1); }},
        {"unequal length",
         [](auto& g) { g.mutable_next_tokens()->add_alternative_tokens()->add_ids(1); }},
        {"unknown reason",
         [](auto& g) {
             g.mutable_generated_text()->set_generated_tokens(1);
             g.mutable_generated_text()->set_finish_reason(static_cast<wire::FinishReason>(3));
         }},
        {"token count of 0", [](auto& g) { g.mutable_generated_text()->set_text("text"); }},
    };
    for (const auto& f : forms) {
        auto g = good();
        f.spoil(g);
        const auto step = read(g);
        INFO(f.words << '\n' << g.DebugString());
        REQUIRE(step.has_error());
        CHECK(step.error().code == errc::protocol);
        CHECK(step.error().detail.find(f.words) != std::string::npos);
    }
    CHECK(read(good()).has_value());
}

TEST_CASE("generation: bytes that are none are refused", "[shard]") {
    google::protobuf::SetLogHandler(nullptr);
    for (const std::string bytes : {"\xff", "\x0a", "plain text", "\x1a\x05\x0a"}) {
        CHECK(shard::read_generation(bytes).error().code == errc::protocol);
    }
    auto bytes = good().SerializeAsString();
    const auto at = bytes.find(" tree");
    bytes[at] = '\xff';  // no UTF-8: a client could not be sent it
    CHECK(shard::read_generation(bytes).error().code == errc::protocol);
}

TEST_CASE("generation: damaged bytes are read or refused, nothing else", "[shard][property]") {
    google::protobuf::SetLogHandler(nullptr);
    std::size_t whole = 0;
    for (std::uint64_t seed = 1; seed <= 30'000; ++seed) {
        test::random_answers random{seed};
        const auto step =
            shard::read_generation(random.mutate(random.generation().SerializeAsString()));
        INFO("seed " << seed);
        if (!step) {
            REQUIRE(step.error().code == errc::protocol);
            continue;
        }
        ++whole;
        REQUIRE_FALSE(step->tokens.empty());
        if (step->finished) REQUIRE(step->finished->generated_tokens > 0);
    }
    CHECK(whole > 300);
}
