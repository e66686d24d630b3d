#include "shard_llama/sampler.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

using namespace truffula::shard_llama;

namespace {

const std::vector<float> logits{1.0F, 4.0F, -2.0F, 3.0F, 0.0F};

scored_token pick(sampler& from, std::vector<float> row = logits) {
    return from.pick(row);
}

std::vector<token> draw(const sampling& how, int count) {
    sampler s{how};
    std::vector<token> ids;
    for (int i = 0; i < count; ++i) ids.push_back(pick(s).id);
    return ids;
}

std::set<token> support(const sampling& how) {
    const auto ids = draw(how, 2000);
    return {ids.begin(), ids.end()};
}

}  // namespace

TEST_CASE("sampling: what is greedy", "[shard_llama]") {
    CHECK(sampling{}.is_greedy());
    CHECK(sampling{.seed = 7}.is_greedy());
    CHECK(sampling{.repetition_penalty = 2.0F}.is_greedy());
    CHECK_FALSE(sampling{.do_sample = true}.is_greedy());
    CHECK_FALSE(sampling{.temperature = 0.5F}.is_greedy());
    CHECK_FALSE(sampling{.top_k = 3}.is_greedy());
    CHECK_FALSE(sampling{.top_p = 0.9F}.is_greedy());
    CHECK_FALSE(sampling{.typical_p = 0.9F}.is_greedy());
    CHECK(sampling{.temperature = 0.0F, .top_k = 3, .do_sample = true}.is_greedy());
}

TEST_CASE("sampler: log-probabilities add up to 1", "[shard_llama]") {
    double sum = 0.0;
    for (const auto l : logits) sum += std::exp(l - log_normaliser(logits));
    CHECK(sum == Approx(1.0));
    CHECK(log_normaliser(std::vector{1000.0F, 1000.0F}) == Approx(1000.0 + std::log(2.0)));
    const auto none = -std::numeric_limits<float>::infinity();
    CHECK(log_normaliser(std::vector{none, 2.0F}) == Approx(2.0));
}

TEST_CASE("sampler: greedy takes the best, the first of equals", "[shard_llama]") {
    sampler s{{}};
    const auto chosen = pick(s);
    CHECK(chosen.id == 1);
    CHECK(chosen.logprob == Approx(4.0F - log_normaliser(logits)));
    CHECK(pick(s, {2.0F, 5.0F, 5.0F}).id == 1);
}

TEST_CASE("sampler: a repetition penalty makes seen tokens less likely", "[shard_llama]") {
    sampler s{{.repetition_penalty = 2.0F}};
    s.accept(1);
    const auto chosen = pick(s);  // 4 became 2
    CHECK(chosen.id == 3);
    CHECK(chosen.logprob == Approx(3.0F - log_normaliser(logits)));  // the model's
    CHECK(pick(s, {-3.0F, -2.0F, -3.5F, -9.0F, -9.0F}).id == 0);     // -2 became -4
}

TEST_CASE("sampler: frequency counts, presence does not", "[shard_llama]") {
    const std::vector<float> near{2.0F, 1.5F};
    sampler often{{.frequency_penalty = 0.2F}};
    often.accept(0);
    often.accept(0);
    CHECK(pick(often, near).id == 0);  // counted: three now
    CHECK(pick(often, near).id == 1);
    sampler once{{.presence_penalty = 0.4F}};
    for (int i = 0; i < 9; ++i) once.accept(0);
    CHECK(pick(once, near).id == 0);
    sampler strict{{.presence_penalty = 0.6F}};
    strict.accept(0);
    CHECK(pick(strict, near).id == 1);
}

TEST_CASE("sampler: warpers leave few tokens", "[shard_llama]") {
    CHECK(support({.do_sample = true}).size() > 3);
    CHECK(support({.top_k = 1}) == std::set<token>{1});
    CHECK(support({.top_k = 2}) == std::set<token>{1, 3});
    CHECK(support({.top_k = 99}).size() > 3);
    CHECK(support({.top_p = 0.5F}) == std::set<token>{1});
    CHECK(support({.top_p = 0.8F}) == std::set<token>{1, 3});
    CHECK(support({.temperature = 0.01F}) == std::set<token>{1});
    CHECK(support({.typical_p = 0.01F}).size() == 1);
}

TEST_CASE("sampler: draws as often as the model says", "[shard_llama]") {
    constexpr int draws = 20'000;
    std::array<int, 5> count{};
    for (const auto t : draw({.do_sample = true, .seed = 1}, draws)) {
        ++count[static_cast<std::size_t>(t)];
    }
    for (std::size_t i = 0; i < count.size(); ++i) {
        const auto expected = std::exp(logits[i] - log_normaliser(logits));
        CHECK(count[i] / double{draws} == Approx(expected).margin(0.015));
    }
}

TEST_CASE("sampler: same seed, same tokens", "[shard_llama]") {
    const auto with = [](std::uint64_t seed) {
        return draw({.temperature = 2.0F, .seed = seed}, 50);
    };
    CHECK(with(7) == with(7));
    CHECK(with(7) != with(8));
    CHECK(with(7) != with((std::uint64_t{1} << 63U) + 7));  // all 64 bits count
}

TEST_CASE("sampler: alternatives are the best, best first", "[shard_llama]") {
    const auto ids = [](std::uint32_t k) {
        std::vector<token> found;
        for (const auto& t : sampler{{.alternatives = k}}.alternatives(logits)) {
            found.push_back(t.id);
        }
        return found;
    };
    CHECK(ids(0).empty());
    CHECK(ids(1) == std::vector<token>{1});
    CHECK(ids(3) == std::vector<token>{1, 3, 0});
    CHECK(ids(9) == std::vector<token>{1, 3, 0, 4, 2});
    const auto best = sampler{{.alternatives = 1}}.alternatives(logits).front();
    CHECK(best.logprob == Approx(4.0F - log_normaliser(logits)));
}
