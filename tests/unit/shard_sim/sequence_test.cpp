#include "shard_sim/sequence.hpp"

#include "driver.hpp"

#include <catch2/catch.hpp>

using namespace truffula::shard_sim;
using test::request;

namespace {

// All answers until the end.
std::vector<wire::Generation> write_all(sequence& s) {
    std::vector<wire::Generation> out{s.prefill(false)};
    while (!out.back().has_generated_text()) out.push_back(s.decode(false));
    return out;
}

std::string joined(const std::vector<wire::Generation>& steps) {
    std::string out;
    for (const auto& g : steps) {
        for (const auto& text : g.next_tokens().texts()) out += text;
    }
    return out;
}

}  // namespace

TEST_CASE("sequence: ends at its length", "[shard_sim]") {
    sequence s{request(7, 3, 4), "", {}};
    const auto steps = write_all(s);
    REQUIRE(steps.size() == 4);
    const auto& whole = steps.back().generated_text();
    CHECK(whole.finish_reason() == wire::FINISH_REASON_LENGTH);
    CHECK(whole.generated_tokens() == 4);
    CHECK(whole.text() == joined(steps));
    CHECK_FALSE(whole.has_seed());
    CHECK(steps.front().prefill_tokens_length() == 3);
    CHECK(steps.front().request_id() == 7);
    CHECK_FALSE(steps.front().has_prefill_tokens());
}

TEST_CASE("sequence: the shard's own cap ends it too", "[shard_sim]") {
    model_options o;
    o.max_new = 2;
    sequence s{request(7, 3, 4), "", o};
    CHECK(write_all(s).size() == 2);
}

TEST_CASE("sequence: the end token ends it, and is not in the text", "[shard_sim]") {
    model_options o;
    o.eos_after = 2;
    auto r = request(7, 3, 9);
    SECTION("heeded") {
        sequence s{r, "", o};
        const auto steps = write_all(s);
        REQUIRE(steps.size() == 3);
        const auto& whole = steps.back().generated_text();
        CHECK(whole.finish_reason() == wire::FINISH_REASON_EOS_TOKEN);
        CHECK(whole.generated_tokens() == 3);
        CHECK(whole.text() + "</s>" == joined(steps));
        CHECK(steps.back().next_tokens().is_special(0));
    }
    SECTION("ignored") {
        r.mutable_stopping_parameters()->set_ignore_eos_token(true);
        sequence s{r, "", o};
        CHECK(write_all(s).size() == 9);
    }
}

TEST_CASE("sequence: a stop sequence ends it, across tokens", "[shard_sim]") {
    sequence free{request(7, 3, 9), "", {}};
    const auto steps = write_all(free);
    const auto& two = steps[1].next_tokens().texts(0) + steps[2].next_tokens().texts(0);
    auto r = request(7, 3, 9);
    r.mutable_stopping_parameters()->add_stop_sequences("never");
    r.mutable_stopping_parameters()->add_stop_sequences(two);
    sequence s{r, "", {}};
    const auto stopped = write_all(s);
    CHECK(stopped.size() == 3);
    CHECK(stopped.back().generated_text().finish_reason() == wire::FINISH_REASON_STOP_SEQUENCE);
    CHECK(stopped.back().generated_text().text().ends_with(two));
}

TEST_CASE("sequence: sampling shows its seed and depends on it", "[shard_sim]") {
    auto r = request(7, 3, 9);
    r.mutable_parameters()->set_seed(42);
    sequence greedy{r, "", {}};
    sequence plain{request(7, 3, 9), "", {}};
    const auto text = write_all(greedy).back().generated_text();
    CHECK_FALSE(text.has_seed());
    CHECK(text.text() == write_all(plain).back().generated_text().text());

    SECTION("do_sample") {
        r.mutable_parameters()->set_do_sample(true);
    }
    SECTION("temperature") {
        r.mutable_parameters()->set_temperature(0.5F);
    }
    SECTION("top_k") {
        r.mutable_parameters()->set_top_k(5);
    }
    SECTION("top_p") {
        r.mutable_parameters()->set_top_p(0.5F);
    }
    SECTION("typical_p") {
        r.mutable_parameters()->set_typical_p(0.5F);
    }
    sequence first{r, "", {}};
    const auto sampled = write_all(first).back().generated_text();
    CHECK(sampled.seed() == 42);
    CHECK(sampled.text() != text.text());
    r.mutable_parameters()->set_seed(43);
    sequence second{r, "", {}};
    CHECK(write_all(second).back().generated_text().text() != sampled.text());
}

TEST_CASE("sequence: speculation gives the same text in fewer steps", "[shard_sim]") {
    model_options o;
    o.speculate = 3;
    sequence one{request(7, 3, 30), "", {}};
    sequence several{request(7, 3, 30), "", o};
    const auto slow = write_all(one);
    const auto fast = write_all(several);
    CHECK(fast.size() < slow.size());
    CHECK(joined(fast) == joined(slow));
    const auto& whole = fast.back().generated_text();
    CHECK(whole.generated_tokens() == 30);
    CHECK(whole.skipped_tokens() == 30 - fast.size());
    CHECK(fast.front().next_tokens().ids_size() == 1);
}

TEST_CASE("sequence: prompt and alternatives are told when asked for", "[shard_sim]") {
    auto r = request(7, 3, 2);
    r.set_prefill_logprobs(true);
    r.mutable_parameters()->set_return_k_alternatives(2);
    model_options o;
    SECTION("paged") {}
    SECTION("padded shards do not tell the length") {
        o.kind = layout::padded;
    }
    sequence s{r, "", o};
    const auto first = s.prefill(false);
    CHECK(first.prefill_tokens_length() == (o.kind == layout::padded ? 0 : 3));
    CHECK(first.prefill_tokens().ids_size() == 3);
    CHECK(first.prefill_tokens().logprobs_size() == 3);
    REQUIRE(first.next_tokens().alternative_tokens_size() == 1);
    CHECK(first.next_tokens().alternative_tokens(0).ids_size() == 2);
}

TEST_CASE("prompt: ids, words, and the last of them", "[shard_sim]") {
    auto r = request(7, 5, 2);
    CHECK(prompt_ids(r) == std::vector<std::uint32_t>{10, 11, 12, 13, 14});
    r.set_truncate(2);
    CHECK(prompt_ids(r) == std::vector<std::uint32_t>{13, 14});
    r.clear_tokenized_inputs();
    r.set_truncate(0);
    r.set_inputs("three little words");
    CHECK(prompt_ids(r).size() == 3);
    r.set_inputs("");
    CHECK(prompt_ids(r).size() == 1);
}
