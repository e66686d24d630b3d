#include "truffula/text/tool_reply.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <array>
#include <cstdio>
#include <random>

using namespace truffula;

namespace {

const std::vector<std::string> names{"find_tree", "plant", "no_tool"};

/// A reply that comes in `pieces`; texts joined, or the error.
result<text::tool_delta> read(const std::vector<std::string>& pieces) {
    text::tool_reply_parser parser{names};
    text::tool_delta all;
    for (const auto& piece : pieces) {
        const auto got = parser.feed(piece);
        if (!got) {
            REQUIRE(parser.feed("{}").has_error());
            REQUIRE(parser.finish().has_error());
            return got;
        }
        if (got->name) {
            REQUIRE_FALSE(all.name);
            REQUIRE(all.arguments.empty());
            all.name = got->name;
        }
        all.arguments += got->arguments;
        all.content += got->content;
    }
    if (const auto end = parser.finish(); !end) return end.error();
    CHECK(parser.is_call() == all.name.has_value());
    return all;
}

std::string words_of(const std::string& reply) {
    const auto got = text::read_tool_reply(reply, names);
    REQUIRE(got.has_error());
    CHECK(got.error().code == errc::tool_error);
    return got.error().detail;
}

std::string arguments_of(const std::string& reply) {
    const auto got = text::read_tool_reply(reply, names);
    INFO((got ? std::string{} : got.error().detail));
    REQUIRE(got.has_value());
    REQUIRE(got->name);
    CHECK(got->content.empty());
    return got->arguments;
}

std::string content_of(const std::string& string) {
    const auto reply = R"({"function": {"_name": "no_tool", "content": )" + string + "}}";
    const auto got = text::read_tool_reply(reply, names);
    INFO((got ? std::string{} : got.error().detail));
    REQUIRE(got.has_value());
    CHECK_FALSE(got->name);
    CHECK(got->arguments.empty());
    return got->content;
}

// Replies of all kinds: whole, cut off, wrong.
const std::vector<std::string> replies{
    R"({"function":{"_name":"plant"}})",
    R"( {"function" : {"_name": "find_tree", "kind": "oak \"é\" 東", "n": [1, -2.5e3, {"a": {}}] } } )",
    R"({"function":{"kind":"x","deep":{"_name":"y"},"_name":"find_tree","n":null}})",
    R"({"function":{"_name":"no_tool","content":"Täg 🌳\n\ud83c\udf33 \ud83c \u00e9\\\/"}})",
    R"({"function":{"content":"early \u0041","_name":"no_tool","more":[1]}})",
    R"({"thought":{"function":1},"function":{"_name":"plant","a":true},"later":[{}]})",
    R"({"function":{"_name":"plant","a":[tru]}})",
    R"({"function":{"_name":"plant","a":)",
    R"({"function":{"_name":"other"}})",
    R"({"function":{"a":1}})",
    R"({"function":{"_name":3}})",
    R"({"function":{"_name":"no_tool"}})",
    R"({"function":{"_name":"no_tool","content":{"a":1}}})",
    R"({"function":[]})",
    R"({"a":1})",
    R"(["function"])",
    R"(hello)",
    R"({"function":{"_name":"plant"}} and)",
    "",
};

}  // namespace

TEST_CASE("tool reply: a call, arguments without _name and white space", "[text]") {
    CHECK(arguments_of(R"({"function":{"_name":"plant"}})") == "{}");
    CHECK(
        arguments_of(
            R"({"function": { "_name": "plant", "a b": "x  y", "n": [1, 2.50, 1e3] } })") ==
        R"({"a b":"x  y","n":[1,2.50,1e3]})");
    CHECK(
        arguments_of(R"({"function":{"a":1,"_name":"plant","b":{"_name":"kept"}}})") ==
        R"({"a":1,"b":{"_name":"kept"}})");
    CHECK(*text::read_tool_reply(replies[0], names)->name == "plant");
    CHECK(arguments_of(replies[5]) == R"({"a":true})");  // among other members
}

TEST_CASE("tool reply: what comes a second time is left out", "[text]") {
    CHECK(
        arguments_of(
            R"({"function":{"_name":"plant","a":1},"function":{"_name":"plant","b":2}})") ==
        R"({"a":1})");
    CHECK(
        arguments_of(R"({"function":{"_name":"plant","_name":"find_tree","a":1}})") ==
        R"({"a":1})");
    CHECK(content_of(R"("first","content":"second")") == "first");
    CHECK(
        text::read_tool_reply(
            R"({"function":{"content":"first","_name":"no_tool","content":"second"}})", names)
            ->content == "first");
}

TEST_CASE("tool reply: names are compared whole", "[text]") {
    const std::string longest(64, 'n');
    const auto called = [&](const std::string& name) {
        return text::read_tool_reply(R"({"function":{"_name":")" + name + R"("}})", {longest});
    };
    const auto got = called(longest);
    REQUIRE(got.has_value());
    CHECK(got->name == longest);
    CHECK(called(longest + "n").has_error());
    CHECK(called(longest.substr(1)).has_error());
}

TEST_CASE("tool reply: words leave as text", "[text]") {
    CHECK(content_of(R"("")") == "");
    CHECK(content_of(R"("a\n\t\"\\\/\b\f\r")") == "a\n\t\"\\/\b\f\r");
    CHECK(content_of(R"("\u00e9\u6771\ud83c\udf33")") == "é東🌳");
    CHECK(content_of(R"("\ud83c")") == "\xEF\xBF\xBD");
    CHECK(content_of(R"("\ud83cx\udf33")") == "\xEF\xBF\xBDx\xEF\xBF\xBD");
    CHECK(content_of(R"("\ud83c\n")") == "\xEF\xBF\xBD\n");
    CHECK(content_of(R"("\ud83c\u0000")") == std::string("\xEF\xBF\xBD\0", 4));
    CHECK(content_of(R"("\ud83c\ud83c\udf33")") == "\xEF\xBF\xBD🌳");
    CHECK(text::read_tool_reply(replies[4], names)->content == "early A");
}

TEST_CASE("tool reply: every escape of a character is that character", "[text]") {
    const auto unit = [](unsigned code, const char* format) {
        std::array<char, 8> text{};
        std::snprintf(text.data(), text.size(), format, code);
        return std::string{text.data()};
    };
    std::string string = "\"";
    for (unsigned code = 0; code < 0x10000; ++code) {
        const bool is_half = code >= 0xD800 && code < 0xE000;
        if (!is_half) string += unit(code, code % 2 == 0 ? "\\u%04x" : "\\u%04X");
    }
    for (const auto high : {0xD800U, 0xD801U, 0xD83CU, 0xDBFFU}) {
        for (const auto low : {0xDC00U, 0xDC01U, 0xDF33U, 0xDFFFU}) {
            string += unit(high, "\\u%04x") + unit(low, "\\u%04X");
        }
    }
    string += '"';
    CHECK((content_of(string) == nlohmann::json::parse(string).get<std::string>()));
    for (const auto half : {0xD800U, 0xDBFFU, 0xDC00U, 0xDFFFU}) {
        CHECK(content_of('"' + unit(half, "\\u%04x") + "x\"") == "\xEF\xBF\xBDx");
    }
}

TEST_CASE("tool reply: errors in the words of the contract", "[text]") {
    const std::string no_function = "No function found in generated text";
    const std::string no_name = "No _name found in generated text";
    const std::string no_content = "No `content` found in generated text";
    CHECK(words_of(R"({"a":1})") == no_function);
    CHECK(words_of(R"({"function":[]})") == no_function);
    CHECK(words_of(R"({"function":null})") == no_function);
    CHECK(words_of(R"([])") == no_function);
    CHECK(words_of(R"("function")") == no_function);
    CHECK(words_of(R"({"function":{"a":1}})") == no_name);
    CHECK(words_of(R"({"function":{"_name":3}})") == no_name);
    CHECK(words_of(R"({"function":{"_name":{}}})") == no_name);
    CHECK(words_of(R"({"function":{"_name":"no_tool"}})") == no_content);
    CHECK(words_of(R"({"function":{"_name":"no_tool","content":1}})") == no_content);
    CHECK(words_of(R"({"function":{"content":1,"_name":"no_tool"}})") == no_content);
    CHECK(words_of(R"({"function":{"_name":"cut"}})") == "Tool with name cut not found");
    for (const auto* broken :
         {"hello",
          "{\"function\":{\"_name\":\"plant\",\"a\":tru}}",
          "",
          "{}}",
          "{\"function\":{\"_name\":\"plant\"}} x",
          "{\"function\":",
          "{\"function\":{\"_name\":\"plant\",}}",
          "{'function'}"}) {
        INFO(broken);
        CHECK_THAT(words_of(broken), Catch::StartsWith("Failed to parse generated text: "));
    }
    const auto refused = text::read_tool_reply(replies[3], {"plant"});
    REQUIRE(refused.has_error());
    CHECK(refused.error().detail == "Tool with name no_tool not found");
}

TEST_CASE("tool reply: nothing is held that could leave", "[text]") {
    text::tool_reply_parser parser{names};
    CHECK_FALSE(parser.feed(R"({"function":{"_name":"pla)")->name);
    CHECK(parser.feed(R"(nt")")->name == "plant");
    CHECK(parser.is_call());
    CHECK(parser.feed(R"(,"ki)")->arguments.empty());
    CHECK(parser.feed(R"(nd": "o)")->arguments == R"({"kind":"o)");
    CHECK(parser.feed("ak\xC3")->arguments == "ak");
    CHECK(parser.feed("\xA9")->arguments == "é");
    for (const auto* begun : {"\xF0", "\x9F", "\x8C"}) CHECK(parser.feed(begun)->arguments.empty());
    CHECK(parser.feed("\xB3")->arguments == "🌳");
    CHECK(parser.feed("\xF0\x9F\x8C")->arguments.empty());
    CHECK(parser.feed("\xB3!")->arguments == "🌳!");
    CHECK(parser.feed("\"}")->arguments == "\"}");

    text::tool_reply_parser words{names};
    CHECK(words.feed(R"({"function":{"_name":"no_tool","content":"Hel)")->content == "Hel");
    CHECK_FALSE(words.is_call());
    CHECK(words.feed("lo\\")->content == "lo");
    CHECK(words.feed("n")->content == "\n");
    CHECK(words.feed("\\ud83c\\udf3")->content.empty());
    CHECK(words.feed("3")->content == "🌳");
}

TEST_CASE("tool reply: every cut gives the same", "[text]") {
    for (const auto& reply : replies) {
        INFO(reply);
        const auto whole = read({reply});
        const auto same = [&](const result<text::tool_delta>& got) {
            if (whole.has_error() || got.has_error()) {
                return whole.has_error() && got.has_error() &&
                       whole.error().detail == got.error().detail;
            }
            return whole->name == got->name && whole->arguments == got->arguments &&
                   whole->content == got->content;
        };
        for (std::size_t at = 0; at <= reply.size(); ++at) {
            REQUIRE(same(read({reply.substr(0, at), reply.substr(at)})));
        }
        std::vector<std::string> bytes;
        for (const auto c : reply) bytes.emplace_back(1, c);
        REQUIRE(same(read(bytes)));
        const auto seed = std::random_device{}();
        INFO("seed " << seed);
        std::mt19937 random{seed};
        for (int round = 0; round < 50; ++round) {
            std::vector<std::string> pieces(1);
            for (const auto c : reply) {
                if (random() % 4 == 0) pieces.emplace_back();
                pieces.back() += c;
            }
            REQUIRE(same(read(pieces)));
        }
    }
}

TEST_CASE("json scanner: takes what JSON is, refuses what it is not", "[text]") {
    const auto takes = [](std::string_view text) {
        text::json_scanner scanner;
        for (const auto c : text) {
            if (!scanner.feed(c)) return false;
        }
        return scanner.complete();
    };
    for (const auto* good :
         {"{}",
          "[]",
          "[0,-0,1.5,1e9,1E-2,-12.5e+3]",
          R"({"a":[{"b":null},true,false]})",
          R"("\u00e9\"\\")",
          " [ ] ",
          R"(["é"])"}) {
        INFO(good);
        CHECK(takes(good));
    }
    for (const auto* bad :
         {"[01]",  "[1.]",      "[.5]",      "[1e]",          "[+1]",       "[-]",   "[nul]",
          "[1,]",  "[,1]",      "{\"a\"}",   "{a:1}",         "{\"a\":1,}", "[1}",   "{]",
          "]",     "[][]",      "[\"\\x\"]", "[\"\\u12g4\"]", "[\"\n\"]",   "[1 2]", "[true false]",
          "[NaN]", "[Infinity]"}) {
        INFO(bad);
        CHECK_FALSE(takes(bad));
    }
    const auto nested = [&](std::size_t depth) {
        return takes(std::string(depth, '[') + std::string(depth, ']'));
    };
    CHECK(nested(text::json_scanner::max_depth));
    CHECK_FALSE(nested(text::json_scanner::max_depth + 1));
    CHECK(takes('[' + std::string(text::json_scanner::max_scalar, '1') + ']'));
    CHECK_FALSE(takes('[' + std::string(text::json_scanner::max_scalar + 1, '1') + ']'));
}

TEST_CASE("json scanner: what was refused stays refused", "[text]") {
    for (const std::string begin : {"[}", "[\"\n", "[\"\\x", "[\"\\ug", "[1 x", "[nul,", "[] 1"}) {
        INFO(begin);
        for (const auto* more : {"]", "x", "\"", " ", "1", "{"}) {
            text::json_scanner scanner;
            for (std::size_t i = 0; i + 1 < begin.size(); ++i) REQUIRE(scanner.feed(begin[i]));
            REQUIRE_FALSE(scanner.feed(begin.back()));
            CHECK_FALSE(scanner.feed(*more));
            CHECK_FALSE(scanner.complete());
        }
    }
}
