#include "truffula/api/openai/stop_trimmer.hpp"

#include <catch2/catch.hpp>

#include <random>

using truffula::api::openai::stop_trimmer;

namespace {

using texts = std::vector<std::string>;

std::string shown(const texts& pieces, const texts& stops, bool is_stopped) {
    stop_trimmer trimmer{stops};
    std::string out;
    for (const auto& p : pieces) trimmer.feed(p, out);
    trimmer.finish(is_stopped, out);
    return out;
}

}  // namespace

TEST_CASE("stop trimmer: the text that ended an answer is not shown", "[api][openai]") {
    CHECK(shown({"one ", "two ", "th", "ree"}, {"three"}, true) == "one two ");
    CHECK(shown({"abcab", "cd"}, {"abcd"}, true) == "abc");
    CHECK(shown({"a\n", "\nb"}, {"\n\n"}, true) == "a");
    CHECK(shown({"x ENDy"}, {"END"}, true) == "x ");
    CHECK(shown({"a END b STOP"}, {"END", "STOP"}, true) == "a ");
    CHECK(shown({"a END b STOP"}, {"STOP", "END"}, true) == "a ");
}

TEST_CASE("stop trimmer: what only began like a stop text is shown", "[api][openai]") {
    CHECK(shown({"one th", "at"}, {"three"}, false) == "one that");
    CHECK(shown({"one thr"}, {"three"}, false) == "one thr");
    CHECK(shown({"three"}, {"three"}, false) == "three");
    CHECK(shown({"th"}, {}, true) == "th");
}

TEST_CASE("stop trimmer: text is held back only while it may be a stop text", "[api][openai]") {
    stop_trimmer trimmer{{"END", "\n\n"}};
    std::string out;
    trimmer.feed("abE", out);
    CHECK(out == "ab");
    trimmer.feed("x\n", out);
    CHECK(out == "abEx");
    trimmer.feed("y", out);
    CHECK(out == "abEx\ny");
    trimmer.feed("EN", out);
    trimmer.reset();
    trimmer.feed("D", out);
    CHECK(out == "abEx\nyD");
}

TEST_CASE("stop trimmer: the rest is given once", "[api][openai]") {
    stop_trimmer trimmer{{"END"}};
    std::string out;
    trimmer.feed("aE", out);
    trimmer.finish(false, out);
    trimmer.finish(false, out);
    CHECK(out == "aE");
}

TEST_CASE("stop trimmer: any split gives the same text", "[api][openai]") {
    const auto seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random{seed};
    const auto below = [&](std::size_t n) { return std::size_t{random()} % n; };
    for (int round = 0; round < 2000; ++round) {
        std::string text;
        for (auto n = below(12); n > 0; --n) text += static_cast<char>('a' + below(2));
        texts stops{below(2) ? "ab" : "aab"};
        if (below(2)) stops.emplace_back("bb");
        const auto has_stop = stop_trimmer::trim(text, stops).size() < text.size();
        texts pieces;
        for (std::size_t at = 0; at < text.size();) {
            const auto n = 1 + below(3);
            pieces.push_back(text.substr(at, n));
            at += n;
        }
        INFO(text << " until " << stops.front());
        CHECK(shown(pieces, stops, has_stop) == stop_trimmer::trim(text, stops));
        CHECK(shown(pieces, stops, false) == text);
    }
}
