#include "shard_llama/sequence.hpp"

#include "fakes.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cmath>
#include <memory>

using namespace truffula::shard_llama;

namespace {

struct world {
    sequence start(request r) { return {words, std::move(r), {}, *cells->take_seat(10)}; }

    few_words words;
    std::shared_ptr<fake_backend> cells = std::make_shared<fake_backend>(context_options{});
};

/// The step after logits that want `t`.
generation step(sequence& s, token t) {
    std::array<float, 16> logits{};
    logits[static_cast<std::size_t>(t)] = 5.0F;
    return s.step(logits);
}

}  // namespace

TEST_CASE("sequence: an end token ends the answer and is no text", "[shard_llama]") {
    world w;
    auto s = w.start(ask(1, {0}, 9));
    CHECK_FALSE(step(s, 1).finished);
    const auto last = step(s, few_words::end);
    REQUIRE(last.finished);
    CHECK(last.finished->reason == finish::eos_token);
    CHECK(last.finished->text == "b");
    CHECK(last.finished->generated_tokens == 2);
    CHECK(last.next.text == "<end>");
    CHECK(last.next.is_special);
}

TEST_CASE("sequence: ignoring the end goes on to the length", "[shard_llama]") {
    world w;
    auto asked = ask(1, {0}, 2);
    asked.stop.ignore_eos = true;
    auto s = w.start(asked);
    CHECK_FALSE(step(s, few_words::end).finished);
    CHECK(step(s, 1).finished->reason == finish::length);
}

TEST_CASE("sequence: a stop sequence may span tokens", "[shard_llama]") {
    world w;
    auto asked = ask(1, {0}, 9);
    asked.stop.stop_sequences = {"", "cd", "zz"};
    auto s = w.start(asked);
    CHECK_FALSE(step(s, 3).finished);  // "d"
    CHECK_FALSE(step(s, 2).finished);  // "c"
    const auto last = step(s, 3);
    REQUIRE(last.finished);
    CHECK(last.finished->reason == finish::stop_sequence);
    CHECK(last.finished->text == "dcd");
}

TEST_CASE("sequence: text is whole characters", "[shard_llama]") {
    world w;
    auto s = w.start(ask(1, {0}, 3));
    CHECK(step(s, few_words::first_half).next.text.empty());
    CHECK(step(s, few_words::second_half).next.text == "\u00e9");
    const auto last = step(s, few_words::first_half);
    CHECK(last.next.text == "\uFFFD");
    CHECK(last.finished->text == "\u00e9\uFFFD");
}

TEST_CASE("sequence: prompt tokens with their log-probabilities", "[shard_llama]") {
    world w;
    auto asked = ask(1, {0, few_words::first_half, 2});
    asked.wants_prefill_tokens = true;
    auto s = w.start(asked);
    const auto inputs = s.prompt_inputs();
    REQUIRE(inputs.size() == 3);
    CHECK((inputs[0].wants_logits && inputs[1].wants_logits && inputs[2].wants_logits));
    const std::array<float, 16> even{};
    s.take_prompt_logits(0, even);
    s.take_prompt_logits(1, even);
    const auto first = step(s, 1);
    REQUIRE(first.prefill_tokens.size() == 3);
    CHECK(std::isnan(first.prefill_tokens[0].logprob));
    CHECK(first.prefill_tokens[2].logprob == Approx(-std::log(16.0)));
    CHECK(first.prefill_tokens[1].text == "\uFFFD");
    CHECK(step(s, 1).prefill_tokens.empty());
}

TEST_CASE("sequence: the seed comes back when it was used", "[shard_llama]") {
    world w;
    auto asked = ask(1, {0}, 1);
    asked.how.seed = 7;
    auto greedy = w.start(asked);
    CHECK_FALSE(step(greedy, 1).finished->seed);
    asked.how.do_sample = true;
    auto drawn = w.start(asked);
    CHECK(step(drawn, 1).finished->seed == 7);
}
