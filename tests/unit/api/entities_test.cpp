#include "truffula/api/entities.hpp"

#include "support/run_coro.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <random>

using namespace truffula;
using api::entity;
using spans = std::vector<text::token_span>;

namespace {

struct labelled {
    std::size_t start;
    std::size_t stop;
    std::string label;
    float score;
};

/// The tokens with the tokenizer's own around them.
std::vector<entity> join(std::string_view text, const std::vector<labelled>& given) {
    spans tokens{{101, "[CLS]", 0, 0}};
    inference::pooled_answer answer;
    answer.labels = {"B-OWN"};
    answer.label_scores = {0.9F};
    for (const auto& g : given) {
        tokens.push_back({1, "t", g.start, g.stop});
        answer.labels.push_back(g.label);
        answer.label_scores.push_back(g.score);
    }
    tokens.push_back({102, "[SEP]", 0, 0});
    answer.labels.emplace_back("B-OWN");
    answer.label_scores.push_back(0.9F);
    auto all = api::join_entities(text, tokens, answer);
    REQUIRE(all);
    return std::move(*all);
}

}  // namespace

TEST_CASE("entities: tokens of one tag are one entity", "[api]") {
    const auto all = join(
        "I live in San Francisco.",
        {{0, 1, "O", 0.9F},
         {2, 6, "O", 0.9F},
         {7, 9, "O", 0.9F},
         {10, 13, "B-LOC", 0.5F},
         {14, 23, "I-LOC", 1.0F},
         {23, 24, "O", 0.1F}});
    REQUIRE(all.size() == 1);
    CHECK(all[0].group == "LOC");
    CHECK(all[0].word == "san francisco");
    CHECK(all[0].start == 10);
    CHECK(all[0].end == 23);
    CHECK(all[0].score == 0.75F);  // LoRAX leaves the first token of the first entity out
}

TEST_CASE("entities: what ends one", "[api]") {
    const std::string text = "aa bb cc";
    const auto groups = [&](const std::string& a, const std::string& b, const std::string& c) {
        std::string words;
        for (const auto& e : join(text, {{0, 2, a, 1}, {3, 5, b, 1}, {6, 8, c, 1}})) {
            words += e.group + ":" + e.word + ";";
        }
        return words;
    };
    CHECK(groups("B-X", "I-X", "I-X") == "X:aa bb cc;");
    CHECK(groups("B-X", "B-X", "I-X") == "X:aa;X:bb cc;");
    CHECK(groups("B-X", "I-Y", "I-Y") == "X:aa;Y:bb cc;");
    CHECK(groups("B-X", "O", "I-X") == "X:aa;X:cc;");
    CHECK(groups("I-X", "I-X", "O") == "X:aa bb;");
    CHECK(groups("O", "O", "O").empty());
    CHECK(groups("LABEL", "A-B-C", "X-").empty());
    CHECK(groups("-X", "-X", "O") == "X:aa bb;");
}

TEST_CASE("entities: offsets are bytes, tokens' are characters", "[api]") {
    const auto all = join("in Zürich, ÖTZI", {{3, 9, "B-LOC", 1}, {11, 15, "B-PER", 1}});
    REQUIRE(all.size() == 2);
    CHECK(all[0].word == "z\xC3\xBCrich");
    CHECK(all[0].start == 3);
    CHECK(all[0].end == 10);
    CHECK(all[1].word == "\xC3\x96tzi");  // ASCII letters only
    CHECK(all[1].start == 12);
    CHECK(all[1].end == 17);
}

TEST_CASE("entities: texts without tokens of their own have none", "[api]") {
    CHECK(join("", {}).empty());
    inference::pooled_answer nothing;
    auto none = api::join_entities("", {}, nothing);
    REQUIRE(none);
    CHECK(none->empty());
}

TEST_CASE("entities: one label for each token, or an error", "[api]") {
    inference::pooled_answer answer;
    answer.labels = {"O"};
    answer.label_scores = {0.5F};
    const auto wrong = api::join_entities("a", spans{{1, "a", 0, 1}, {2, "b", 0, 1}}, answer);
    REQUIRE(wrong.has_error());
    CHECK(wrong.error().code == errc::protocol);
    CHECK(wrong.error().detail.find("1 labels for 2 tokens") != std::string::npos);
}

TEST_CASE("entities: every labelled token is in one, in order", "[api]") {
    const auto seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random{seed};
    const auto pick = [&](std::size_t n) { return random() % n; };
    const std::vector<std::string> labels{"O", "B-X", "I-X", "B-Y", "I-Y", "X", "I-X-Y"};
    for (int round = 0; round < 500; ++round) {
        std::string text;
        std::vector<labelled> given;
        std::size_t at = 0;
        for (auto n = pick(12); n > 0; --n) {
            text += "Ab ";
            given.push_back({at, at + 2, labels[pick(7)], static_cast<float>(pick(100)) / 100.0F});
            at += 3;
        }
        const auto all = join(text, given);
        std::size_t next = 0;
        for (const auto& g : given) {
            const bool is_labelled = g.label.size() == 3;
            const auto holds = [&](const entity& e) {
                return e.start <= g.start && g.stop <= e.end;
            };
            const auto found = std::find_if(all.begin(), all.end(), holds);
            CHECK((found != all.end()) == is_labelled);
            if (found != all.end()) CHECK(found->group == g.label.substr(2));
            if (g.label[0] == 'B') CHECK(found->start == g.start);
        }
        for (const auto& e : all) {
            CHECK(e.start >= next);
            CHECK(e.end > e.start);
            next = e.end;
            float sum = 0;
            float count = 0;
            for (const auto& g : given) {
                if (g.start < e.start || g.stop > e.end) continue;
                sum += g.score;
                ++count;
            }
            CHECK(e.score == Approx(sum / count).margin(1e-5));
        }
    }
}

TEST_CASE("entities: are written with their keys in order", "[api]") {
    std::string out;
    api::append_entities(out, std::vector<entity>{{"LOC", 0.5F, "a\"b", 1, 4}, {"X", 1, "", 4, 4}});
    CHECK(
        out == R"([{"entity_group":"LOC","score":0.5,"word":"a\"b","start":1,"end":4},)"
               R"({"entity_group":"X","score":1.0,"word":"","start":4,"end":4}])");
    out.clear();
    api::append_entities(out, {});
    CHECK(out == "[]");
}
