#include "shard/grpc_framing.hpp"

#include "truffula/shard/refusals.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace truffula;
using namespace truffula::shard;
using namespace std::string_literals;

TEST_CASE("framing: the prefix says how long the message is, big end first", "[shard]") {
    const auto prefix = frame_prefix(0x01020304);
    CHECK(std::string(prefix.data(), prefix.size()) == "\0\1\2\3\4"s);
    const auto none = frame_prefix(0);
    CHECK(std::string(none.data(), none.size()) == "\0\0\0\0\0"s);
}

TEST_CASE("framing: a body is exactly one message", "[shard]") {
    CHECK(unframe("\0\0\0\0\3abc"s).value() == "abc");
    CHECK(unframe("\0\0\0\0\0"s).value().empty());
    for (const auto& bad :
         {""s, "\0\0\0\0"s, "\0\0\0\0\3ab"s, "\0\0\0\0\3abcd"s, "\1\0\0\0\3abc"s}) {
        const auto got = unframe(bad);
        REQUIRE(got.has_error());
        CHECK(got.error().code == errc::protocol);
    }
    CHECK(unframe("\1\0\0\0\3abc"s).error().detail.find("compressed") != std::string::npos);
}

TEST_CASE("framing: percent encoding, and what is none", "[shard]") {
    CHECK(percent_decode("out of memory%0Aat line 3 %25") == "out of memory\nat line 3 %");
    CHECK(percent_decode("%C3%A4") == "ä");
    CHECK(percent_decode("%") == "%");
    CHECK(percent_decode("100%zz%4") == "100%zz%4");
    CHECK(percent_decode("%-1%+1") == "%-1%+1");
}

TEST_CASE("framing: only HTTP 200 with gRPC 0 is a success", "[shard]") {
    CHECK(to_result({200, 0, ""}).has_value());
    const auto code = [](call_status s) { return to_result(s).error().code; };
    CHECK(code({200, 13, "boom"}) == errc::rpc_failed);
    CHECK(code({200, 14, "gone"}) == errc::connection);
    CHECK(code({200, -1, ""}) == errc::protocol);
    CHECK(code({200, 8, "full"}) == errc::rpc_failed);
    CHECK(code({502, -1, ""}) == errc::protocol);
    CHECK(code({0, -1, ""}) == errc::protocol);
    CHECK(to_result({502, 0, ""}).has_error());
    CHECK(to_result({200, 13, "CUDA%3A out"}).error().detail == "CUDA: out");
}

TEST_CASE("framing: a shard that lacks memory may have it later", "[shard]") {
    CHECK(shard::lacks_memory(to_result({200, 8, "full"}).error().detail));
    CHECK(shard::lacks_memory("CUDA out of memory. Tried to allocate 2 GiB"));
    CHECK(shard::lacks_memory("HIP Out Of Memory"));
    CHECK_FALSE(shard::lacks_memory("Failed to load adapter 'a': no such file"));
    CHECK_FALSE(shard::lacks_memory(""));
}
