// What browsers on other sites may do.
#include "truffula/http/cors.hpp"

#include "support/http_client.hpp"
#include "unit/http/server_world.hpp"

#include <catch2/catch.hpp>

using namespace truffula;
using namespace std::chrono_literals;
using test::has;
using test::http_client;
using test::server_world;
using test::starts;

TEST_CASE("http: OPTIONS is answered by CORS on any path", "[http]") {
    server_world w;
    http_client c{w.server->port()};
    const auto known = c.ask("OPTIONS /hello HTTP/1.1\r\nhost: x\r\n\r\n");
    CHECK(starts(known, "HTTP/1.1 200"));
    CHECK(has(known, "access-control-allow-methods: GET,POST"));
    CHECK(has(known, "access-control-allow-headers: content-type"));
    CHECK(has(known, "allow: GET,HEAD"));
    CHECK(starts(c.ask("OPTIONS /any HTTP/1.1\r\nhost: x\r\n\r\n"), "HTTP/1.1 200"));
}

TEST_CASE("http: only listed origins are allowed", "[http]") {
    http::server_settings s;
    s.cors.allow_origin = {"https://a.example"};
    server_world w{s};
    http_client c{w.server->port()};
    const auto with = [&](const std::string& origin) {
        return c.ask("GET /hello HTTP/1.1\r\nhost: x\r\norigin: " + origin + "\r\n\r\n");
    };
    CHECK(has(with("https://a.example"), "access-control-allow-origin: https://a.example"));
    CHECK_FALSE(has(with("https://b.example"), "access-control-allow-origin"));
}

TEST_CASE("http: CORS settings that browsers refuse are refused", "[http]") {
    http::cors_settings any;
    any.allow_origin = {"*"};
    CHECK(http::cors::create(any).has_error());
    http::cors_settings credentials;
    credentials.allow_credentials = true;
    CHECK(http::cors::create(credentials).has_error());
    credentials.allow_origin = {"https://a.example"};
    CHECK(http::cors::create(credentials).has_value());
}
