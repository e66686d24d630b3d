#include "truffula/api/base64.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <vector>

using truffula::api::append_base64;
using truffula::api::read_base64;

namespace {

std::string encoded(std::string_view bytes) {
    std::string out;
    append_base64(out, bytes);
    return out;
}

}  // namespace

TEST_CASE("base64: the examples of RFC 4648", "[api]") {
    CHECK(encoded("").empty());
    CHECK(encoded("f") == "Zg==");
    CHECK(encoded("fo") == "Zm8=");
    CHECK(encoded("foo") == "Zm9v");
    CHECK(encoded("foob") == "Zm9vYg==");
    CHECK(encoded("fooba") == "Zm9vYmE=");
    CHECK(encoded("foobar") == "Zm9vYmFy");
    CHECK(encoded("\xFB\xFF") == "+/8=");
}

TEST_CASE("base64: what lies behind the bytes is not read", "[api]") {
    const std::string_view more{"foobar"};
    CHECK(encoded(more.substr(0, 4)) == "Zm9vYg==");
    CHECK(encoded(more.substr(0, 5)) == "Zm9vYmE=");
}

TEST_CASE("base64: numbers are little-endian 32-bit floats", "[api]") {
    std::string out;
    append_base64(out, std::vector<float>{1.0F, -2.0F});
    CHECK(out == "AACAPwAAAMA=");
    append_base64(out, std::vector<float>{});
    CHECK(out == "AACAPwAAAMA=");
}

TEST_CASE("base64: what is written is read, and nothing else means the same", "[api]") {
    const auto seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random{seed};
    for (int round = 0; round < 2000; ++round) {
        std::string bytes(random() % 40, '\0');
        for (auto& b : bytes) b = static_cast<char>(random());
        const auto text = encoded(bytes);
        CHECK(read_base64(text) == bytes);
        if (text.empty()) continue;
        auto other = text;
        other[random() % other.size()] = static_cast<char>(random());
        const auto read = read_base64(other);
        if (read) CHECK(encoded(*read) == other);
    }
}

TEST_CASE("base64: what is not canonical is refused", "[api]") {
    for (const auto* const wrong :
         {"Zg",
          "Zg=",
          "Zg===",
          "Z===",
          "====",
          "Zg==Zg==",
          "Zm9v ",
          " Zm9v",
          "Zm\n9v",
          "Zm9-",
          "Zh==",
          "Zm9=",
          "Zm=v",
          "=Zm9"}) {
        CAPTURE(wrong);
        CHECK_FALSE(read_base64(wrong));
    }
    CHECK(read_base64("") == "");
}
