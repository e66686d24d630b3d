// Requests and their answers: routes, heads, limits, what is no request.
#include "support/http_client.hpp"
#include "unit/http/server_world.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <iomanip>
#include <optional>
#include <sstream>

using namespace truffula;
using test::get_hello;
using test::has;
using test::http_client;
using test::post;
using test::server_world;
using test::starts;

TEST_CASE("http: a request is answered, and the connection goes on", "[http]") {
    server_world w;
    http_client c{w.server->port()};
    for (int i = 0; i < 3; ++i) {
        const auto got = c.ask(post("/echo", "body"));
        CHECK(starts(got, "HTTP/1.1 200 OK\r\n"));
        CHECK(has(got, "\r\n\r\nbody"));
        CHECK(has(got, "vary: origin, access-control-request-method"));
        CHECK(has(got, "access-control-allow-origin: *"));
    }
    CHECK(has(c.ask(get_hello), "hello a=b"));
}

TEST_CASE("http: unknown paths and wrong methods", "[http]") {
    server_world w;
    http_client c{w.server->port()};
    CHECK(starts(c.ask("GET /nope HTTP/1.1\r\nhost: x\r\n\r\n"), "HTTP/1.1 404"));
    CHECK(starts(c.ask("GET /%68ello HTTP/1.1\r\nhost: x\r\n\r\n"), "HTTP/1.1 404"));
    const auto wrong = c.ask(post("/hello", ""));
    CHECK(starts(wrong, "HTTP/1.1 405"));
    CHECK(has(wrong, "allow: GET,HEAD"));
    CHECK(starts(c.ask("get /hello HTTP/1.1\r\nhost: x\r\n\r\n"), "HTTP/1.1 405"));
}

TEST_CASE("http: HEAD has the length but no body", "[http]") {
    server_world w;
    http_client c{w.server->port()};
    c.send("HEAD /hello HTTP/1.1\r\nhost: x\r\n\r\n" + get_hello);
    const auto head = c.until("\r\n\r\n");
    CHECK(has(head, "content-length: 6"));
    CHECK(starts(c.response(), "HTTP/1.1 200"));
}

TEST_CASE("http: a refusal to HEAD has no body either", "[http]") {
    http::server_settings s;
    s.max_body_bytes = 10;
    server_world w{s};
    http_client c{w.server->port()};
    c.send("HEAD /hello HTTP/1.1\r\ncontent-length: 11\r\n\r\n" + std::string(11, 'x') + get_hello);
    CHECK(starts(c.until("\r\n\r\n"), "HTTP/1.1 413"));
    CHECK(starts(c.response(), "HTTP/1.1 200"));
}

TEST_CASE("http: a client that closes gets its answer, and the end", "[http]") {
    server_world w;
    http_client c{w.server->port()};
    c.send("GET /hello HTTP/1.1\r\nconnection: close\r\n\r\n");
    const auto got = c.rest();
    CHECK(starts(got, "HTTP/1.1 200"));
    CHECK(has(got, "connection: close"));
}

TEST_CASE("http: HEAD of a stream, or of nothing, has no body", "[http]") {
    http::server_settings s;
    s.describe_refusal = [](std::string_view, int, std::string_view) {
        http::response described;
        described.body = "not here";
        return std::optional{std::move(described)};
    };
    server_world w{s};
    http_client c{w.server->port()};
    for (const auto* const path : {"/count", "/nope"}) {
        CAPTURE(path);
        c.send("HEAD " + std::string{path} + " HTTP/1.1\r\n\r\n");
        CHECK(starts(c.until("\r\n\r\n"), "HTTP/1.1 "));
        CHECK(starts(c.ask(get_hello), "HTTP/1.1 200"));
    }
}

TEST_CASE("http: HTTP/1.0, no host and absolute targets are accepted", "[http]") {
    server_world w;
    http_client old{w.server->port()};
    old.send("GET /hello HTTP/1.0\r\n\r\n");
    const auto got = old.rest();
    CHECK(starts(got, "HTTP/1.0 200"));
    CHECK(has(got, "connection: close"));
    http_client c{w.server->port()};
    CHECK(has(c.ask("GET http://any.example/hello?q HTTP/1.1\r\n\r\n"), "hello q"));
}

TEST_CASE("http: the kernel looks whether a silent client is still there", "[http]") {
    server_world w;
    http_client c{w.server->port()};
    CHECK(starts(c.ask(get_hello), "HTTP/1.1 200"));
    std::ostringstream local;
    local << "0100007F:" << std::uppercase << std::hex << std::setw(4) << std::setfill('0')
          << w.server->port();
    // Local address, remote address, state (1: established), queues, timer (2: keep-alive).
    std::ifstream table{"/proc/net/tcp"};
    std::string timer;
    for (std::string line; std::getline(table, line);) {
        std::istringstream fields{line};
        std::string number, here, there, state, queues, when;
        fields >> number >> here >> there >> state >> queues >> when;
        if (here == local.str() && state == "01") timer = when.substr(0, 2);
    }
    CHECK(timer == "02");
}

TEST_CASE("http: an exception of a handler costs its connection only", "[http]") {
    server_world w;
    http_client c{w.server->port()};
    c.send("GET /throws HTTP/1.1\r\nhost: x\r\n\r\n");
    const auto got = c.rest();
    CHECK(starts(got, "HTTP/1.1 500"));
    CHECK(got.ends_with(R"({"error":"Internal error","error_type":"internal"})"));
    http_client again{w.server->port()};
    CHECK(starts(again.ask(get_hello), "HTTP/1.1 200"));
}

TEST_CASE("http: a port in use is an error that names it", "[http]") {
    server_world w;
    http::server_settings s;
    s.address = "127.0.0.1";
    s.port = w.server->port();
    const auto second = http::server::create(s);
    REQUIRE(second.has_error());
    CHECK(has(second.error().detail, std::to_string(s.port)));
}

TEST_CASE("http: nobody is let in before the start, and nobody else gets the port", "[http]") {
    http::server_settings s;
    s.address = "127.0.0.1";
    s.port = 0;
    const auto first = http::server::create(s);
    REQUIRE(first);
    s.port = (*first)->port();
    CHECK_THROWS_AS(http_client{s.port}, boost::system::system_error);
    for (const auto* const address : {"127.0.0.1", "0.0.0.0"}) {
        s.address = address;
        const auto second = http::server::create(s);
        REQUIRE(second.has_error());
        CHECK(second.error().code == errc::io);
        CHECK(has(second.error().detail, address + (":" + std::to_string(s.port))));
    }
    CHECK((*first)->start({}));
}

TEST_CASE("http: what connections have left on a port lets one server in, not two", "[http]") {
    http::server_settings s;
    s.address = "127.0.0.1";
    s.port = 0;
    std::optional<server_world> earlier{std::in_place};
    s.port = earlier->server->port();
    http_client c{s.port};
    c.send("GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    REQUIRE(starts(c.rest(), "HTTP/1.1 200"));
    c.close();  // after the server: its end of the connection stays in TIME_WAIT
    earlier.reset();
    {
        using tcp = boost::asio::ip::tcp;
        boost::asio::io_context context;
        const tcp::endpoint where{boost::asio::ip::address_v4::loopback(), s.port};
        REQUIRE_THROWS((tcp::acceptor{context, where, false}));  // something is in the way
    }
    const auto first = http::server::create(s);
    REQUIRE(first);
    CHECK(http::server::create(s).has_error());
    CHECK((*first)->start({}));
}
