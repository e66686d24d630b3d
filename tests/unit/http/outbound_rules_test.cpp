#include "truffula/http/outbound_rules.hpp"

#include "support/run_coro.hpp"

#include <catch2/catch.hpp>

using namespace truffula;
using http::outbound_rules;

namespace {

auto address(const char* text) {
    return boost::asio::ip::make_address(text);
}

outbound_rules rules(
    const std::vector<std::string>& hosts, const std::vector<std::string>& networks = {}) {
    auto read = outbound_rules::read(hosts, networks);
    REQUIRE(read);
    return std::move(*read);
}

}  // namespace

TEST_CASE("outbound rules: addresses that are not public", "[http]") {
    for (const auto* text :
         {"0.0.0.0",
          "0.1.2.3",
          "10.0.0.1",
          "100.64.0.1",
          "127.0.0.1",
          "127.255.255.255",
          "169.254.169.254",
          "172.16.0.1",
          "172.31.255.255",
          "192.0.0.8",
          "192.0.2.1",
          "192.88.99.1",
          "192.168.1.1",
          "198.18.0.1",
          "198.51.100.7",
          "203.0.113.9",
          "224.0.0.1",
          "255.255.255.255",
          "::",
          "::1",
          "::127.0.0.1",
          "::ffff:127.0.0.1",
          "::ffff:10.0.0.1",
          "64:ff9b::7f00:1",
          "64:ff9b::a9fe:a9fe",
          "64:ff9b:1::1",
          "100::1",
          "2001::1",
          "2001:db8::1",
          "2002:7f00:1::",
          "3fff::1",
          "fc00::1",
          "fd00:ec2::254",
          "fe80::1",
          "fec0::1",
          "ff02::1"}) {
        INFO(text);
        CHECK_FALSE(http::is_public(address(text)));
        CHECK_FALSE(rules({"*"}).allows_address(address(text)));
    }
}

TEST_CASE("outbound rules: addresses that are public", "[http]") {
    for (const auto* text :
         {"1.1.1.1",
          "9.255.255.255",
          "11.0.0.0",
          "100.63.255.255",
          "100.128.0.0",
          "126.255.255.255",
          "128.0.0.1",
          "172.15.255.255",
          "172.32.0.0",
          "192.167.255.255",
          "223.255.255.255",
          "::ffff:8.8.8.8",
          "64:ff9b::808:808",
          "2606:4700::1",
          "2a00::1"}) {
        INFO(text);
        CHECK(http::is_public(address(text)));
        CHECK(rules({"*"}).allows_address(address(text)));
    }
}

TEST_CASE("outbound rules: private networks that are allowed", "[http]") {
    const auto some = rules({"*"}, {"10.1.0.0/16", "fd00:1::/32", "127.0.0.1/32"});
    for (const auto* text :
         {"10.1.255.255", "10.1.0.0", "fd00:1::5", "127.0.0.1", "::ffff:10.1.2.3"}) {
        INFO(text);
        CHECK(some.allows_address(address(text)));
    }
    for (const auto* text : {"10.2.0.0", "10.0.255.255", "fd00:2::5", "127.0.0.2", "::1"}) {
        INFO(text);
        CHECK_FALSE(some.allows_address(address(text)));
    }
}

TEST_CASE("outbound rules: hosts", "[http]") {
    constexpr std::uint16_t tls = 443;
    const auto some =
        rules({"Images.example.com", "*.cdn.net", "store:8080", "[::1]", "10.0.0.1:81"});
    CHECK(some.allows_host("images.example.com", tls));
    CHECK(some.allows_host("IMAGES.EXAMPLE.COM.", 80));
    CHECK_FALSE(some.allows_host("images.example.com", 8080));
    CHECK_FALSE(some.allows_host("example.com", tls));
    CHECK_FALSE(some.allows_host("x.images.example.com", tls));
    CHECK_FALSE(some.allows_host("images.example.com.evil.org", tls));
    CHECK(some.allows_host("a.cdn.net", tls));
    CHECK(some.allows_host("a.b.cdn.net", tls));
    CHECK_FALSE(some.allows_host("cdn.net", tls));
    CHECK_FALSE(some.allows_host("evilcdn.net", tls));
    CHECK(some.allows_host("store", 8080));
    CHECK_FALSE(some.allows_host("store", 80));
    CHECK(some.allows_host("[::1]", 80));
    CHECK(some.allows_host("10.0.0.1", 81));
    CHECK_FALSE(some.allows_host("10.0.0.1", 80));
    CHECK_FALSE(some.allows_host("", 80));
    CHECK(rules({"*"}).allows_host("anything", tls));
    CHECK_FALSE(rules({"*"}).allows_host("anything", 22));
    CHECK(rules({"*:9000"}).allows_host("anything", 9000));
    CHECK(outbound_rules{}.is_empty());
    CHECK_FALSE(outbound_rules{}.allows_host("anything", tls));
}

TEST_CASE("outbound rules: entries that are none name themselves", "[http]") {
    for (const auto* entry :
         {"",
          "https://a.com",
          "a.com/x",
          "a b",
          "a.com:",
          "a.com:0",
          "a.com:70000",
          "*.",
          "**",
          "[::1",
          "[zz]"}) {
        const auto read = outbound_rules::read({entry}, {});
        INFO(entry);
        REQUIRE(read.has_error());
        CHECK(read.error().code == errc::invalid_config);
        CHECK(read.error().detail.starts_with("`" + std::string{entry} + "`"));
    }
    for (const auto* entry : {"", "10.0.0.0", "10.0.0.0/33", "x/8", "fd00::/129"}) {
        INFO(entry);
        CHECK(outbound_rules::read({"*"}, {entry}).has_error());
    }
}
