#include "shard_sim/generator.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <set>
#include <string>
#include <vector>

using namespace truffula::shard_sim;

namespace {

const std::vector<std::uint32_t> prompt{5, 6, 7};

std::string text_of(const generator& g, std::uint32_t tokens) {
    std::string out;
    for (std::uint32_t n = 0; n < tokens; ++n) out += g.at(n).text;
    return out;
}

generator greedy(std::vector<std::uint32_t> ids, const std::string& label) {
    return generator{ids, label, 0, 0, 0.0};
}

}  // namespace

TEST_CASE("generator: the text follows from prompt, adapter and seed", "[shard_sim]") {
    const auto text = text_of(greedy(prompt, "sql"), 20);
    CHECK(text == text_of(greedy(prompt, "sql"), 20));
    CHECK(text != text_of(greedy({5, 6, 8}, "sql"), 20));
    CHECK(text.substr(4) != text_of(greedy(prompt, "pirate"), 20).substr(7));
    CHECK(text != text_of(generator{prompt, "sql", 1, 0, 0.0}, 20));
    CHECK(text.starts_with("@sql "));
    CHECK(text_of(greedy(prompt, ""), 2).starts_with("@base "));
}

TEST_CASE("generator: the text is the same for ever", "[shard_sim]") {
    CHECK(text_of(greedy(prompt, "sql"), 6) == "@sql clean tree milk 🌲 bright");
}

TEST_CASE("generator: some characters take several bytes", "[shard_sim]") {
    const auto text = text_of(greedy(prompt, ""), 200);
    CHECK(text.find("森") != std::string::npos);
    CHECK(text.find("🌲") != std::string::npos);
}

TEST_CASE("generator: the end token comes when it is due", "[shard_sim]") {
    const generator g{prompt, "", 0, 3, 0.0};
    for (std::uint32_t n = 0; n < 3; ++n) CHECK_FALSE(g.at(n).special);
    CHECK(g.at(3).special);
    CHECK(g.at(3).id == generator::end_token);
    CHECK(generator{prompt, "", 0, 0, 1.0}.at(1).special);
    CHECK_FALSE(generator{prompt, "", 0, 0, 1.0}.at(0).special);
    int ends = 0;
    const generator sometimes{prompt, "", 0, 0, 0.1};
    for (std::uint32_t n = 1; n <= 1'000; ++n) ends += sometimes.at(n).special ? 1 : 0;
    CHECK(ends > 50);
    CHECK(ends < 200);
}

TEST_CASE("generator: alternatives are others, and worse", "[shard_sim]") {
    const auto g = greedy(prompt, "");
    const auto best = g.at(4);
    const auto others = g.alternatives(4, 3);
    REQUIRE(others.size() == 3);
    std::set<std::uint32_t> ids{best.id};
    float last = best.logprob;
    for (const auto& t : others) {
        CHECK(ids.insert(t.id).second);
        CHECK(t.logprob < last);
        last = t.logprob;
    }
    CHECK(g.alternatives(4, 0).empty());
}

TEST_CASE("generator: guesses are accepted from none to all", "[shard_sim]") {
    const auto g = greedy(prompt, "");
    std::set<std::uint32_t> seen;
    for (std::uint32_t n = 0; n < 200; ++n) seen.insert(g.accepted(n, 3));
    CHECK(seen == std::set<std::uint32_t>{0, 1, 2, 3});
    CHECK(g.accepted(5, 0) == 0);
}

TEST_CASE("generator: the first prompt token has no log-probability", "[shard_sim]") {
    const auto g = greedy(prompt, "");
    CHECK(std::isnan(g.prompt_logprob(0)));
    CHECK(g.prompt_logprob(1) <= 0.0F);
}

TEST_CASE("generator: a reply that is given comes in pieces, then the end", "[shard_sim]") {
    generator words{std::vector<std::uint32_t>{1, 2}, "", 0, 0, 0.0};
    words.write_reply("{\"a\":1}");
    CHECK(words.at(0).text == "{\"a");
    CHECK(words.at(1).text == "\":1");
    CHECK(words.at(2).text == "}");
    CHECK(words.at(3).special);
}
