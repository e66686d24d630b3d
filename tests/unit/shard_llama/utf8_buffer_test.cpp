#include "shard_llama/utf8_buffer.hpp"

#include <catch2/catch.hpp>

#include <string>

using truffula::shard_llama::utf8_buffer;

namespace {

const std::string unknown = "\xEF\xBF\xBD";

std::string whole(const std::string& bytes) {
    utf8_buffer buffer;
    auto text = buffer.push(bytes);
    return text += buffer.flush();
}

std::string byte_by_byte(const std::string& bytes) {
    utf8_buffer buffer;
    std::string text;
    for (const char c : bytes) text += buffer.push({&c, 1});
    return text += buffer.flush();
}

}  // namespace

TEST_CASE("utf8_buffer: passes whole characters on", "[shard_llama]") {
    const std::string text = "a \u00e9 \u4f60 \U0001F642 \U0010FFFF";
    CHECK(whole(text) == text);
    CHECK(byte_by_byte(text) == text);
    CHECK(whole("").empty());
}

TEST_CASE("utf8_buffer: the start of a character waits for its rest", "[shard_llama]") {
    utf8_buffer buffer;
    CHECK(buffer.push("x\xF0\x9F") == "x");
    CHECK(buffer.push("\x99").empty());
    CHECK(buffer.push("\x82y") == "\U0001F642y");
    CHECK(buffer.flush().empty());
}

TEST_CASE("utf8_buffer: flush gives up on what waits", "[shard_llama]") {
    utf8_buffer buffer;
    CHECK(buffer.push("\xE4\xBD").empty());
    CHECK(buffer.flush() == unknown);
    CHECK(buffer.flush().empty());
    CHECK(buffer.push("\xA0") == unknown);  // nothing of the former is left to go with
}

TEST_CASE("utf8_buffer: replaces what is no character", "[shard_llama]") {
    CHECK(whole("a\xFF") == "a" + unknown);
    CHECK(whole("\x80z") == unknown + "z");
    CHECK(whole("\xC3(") == unknown + "(");
    CHECK(whole("\xE4\xBD(") == unknown + "(");
    CHECK(whole("\xC1\x81") == unknown + unknown);                           // overlong
    CHECK(whole("\xE0\x9F\xBF") == unknown + unknown + unknown);             // overlong
    CHECK(whole("\xED\xA0\x80") == unknown + unknown + unknown);             // surrogate
    CHECK(whole("\xF4\x90\x80\x80").size() == 4 * unknown.size());           // above U+10FFFF
    CHECK(whole("\xED\x9F\xBF\xEE\x80\x80") == "\xED\x9F\xBF\xEE\x80\x80");  // around surrogates
}

TEST_CASE("utf8_buffer: cuts do not matter", "[shard_llama]") {
    const std::string bytes = "a\xC3\xC3\xA9\xF0\x9F\x99\xE4\xBD\xA0\xFFz\xED\xA0\x80\xF0";
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
        utf8_buffer buffer;
        auto text = buffer.push(bytes.substr(0, cut));
        text += buffer.push(bytes.substr(cut));
        text += buffer.flush();
        CHECK(text == whole(bytes));
    }
    CHECK(byte_by_byte(bytes) == whole(bytes));
}
