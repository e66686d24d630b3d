// How requests are read: heads, bodies and their limits, what is no request.
#include "support/http_client.hpp"
#include "unit/http/server_world.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <optional>
#include <thread>

using namespace truffula;
using namespace std::chrono_literals;
using test::get_hello;
using test::has;
using test::http_client;
using test::post;
using test::server_world;
using test::starts;
using test::within;

TEST_CASE("http: a body at the limit passes, one byte more does not", "[http]") {
    http::server_settings s;
    s.max_body_bytes = 1000;
    server_world w{s};
    http_client c{w.server->port()};
    CHECK(starts(c.ask(post("/echo", std::string(1000, 'x'))), "HTTP/1.1 200"));
    const auto refused = c.ask(post("/echo", std::string(1001, 'x')));
    CHECK(starts(refused, "HTTP/1.1 413"));
    CHECK(has(refused, "Failed to buffer the request body: length limit exceeded"));
    CHECK_FALSE(has(refused, "connection: close"));
    CHECK(starts(c.ask(get_hello), "HTTP/1.1 200"));  // the connection stays open
    c.send(
        "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n" +
        std::string(1001, 'x') + "\r\n0\r\n\r\n");
    CHECK(starts(c.response(), "HTTP/1.1 413"));
}

TEST_CASE("http: headers have a limit in bytes and in number", "[http]") {
    server_world w;
    const auto with = [&](std::size_t n, std::size_t size) {
        std::string text = "GET /hello HTTP/1.1\r\n";
        for (std::size_t i = 0; i < n; ++i) {
            text += "x-" + std::to_string(i) + ": " + std::string(size, 'y') + "\r\n";
        }
        http_client c{w.server->port()};
        return c.ask(text + "\r\n");
    };
    CHECK(starts(with(1, 60'000), "HTTP/1.1 200"));
    CHECK(starts(with(1, 66'000), "HTTP/1.1 431"));
    CHECK(starts(with(90, 1'000), "HTTP/1.1 431"));
    CHECK(starts(with(100, 10), "HTTP/1.1 200"));
    CHECK(starts(with(101, 10), "HTTP/1.1 431"));
}

TEST_CASE("http: bytes that are no request get 400, and the connection closes", "[http]") {
    server_world w;
    const auto ask = [&](const std::string& text) {
        http_client c{w.server->port()};
        c.send(text);
        return c.rest();
    };
    CHECK(starts(ask("nonsense\r\n\r\n"), "HTTP/1.1 400"));
    CHECK(starts(ask("GET /hello HTTP/3.0\r\n\r\n"), "HTTP/1.1 505"));
    CHECK(starts(
        ask("POST /echo HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n"
            "0\r\n\r\n"),
        "HTTP/1.1 400"));
    CHECK(starts(
        ask("POST /echo HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd"),
        "HTTP/1.1 400"));
    CHECK(starts(ask("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "HTTP/1.1 505"));
}

TEST_CASE("http: a body whose end is not told for sure is refused", "[http]") {
    server_world w;
    // As a body it would be one request, as none two.
    const auto inner = get_hello;
    for (const auto* const coding :
         {"gzip",
          "xchunked",
          "chunked, gzip",
          "gzip, chunked",
          "chunked, chunked",
          "identity",
          "chunked\r\ntransfer-encoding: chunked",
          "chunked\r\ntransfer-encoding: identity",
          "identity\r\ntransfer-encoding: chunked"}) {
        CAPTURE(coding);
        http_client c{w.server->port()};
        c.send(
            "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: " + std::string{coding} +
            "\r\n\r\n" + inner);
        const auto got = c.rest();
        CHECK(starts(got, "HTTP/1.1 400"));
        CHECK(has(got, "connection: close"));
        CHECK_FALSE(has(got, "hello"));
    }
    http_client c{w.server->port()};
    c.send("POST /echo HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n");
    CHECK(has(c.response(), "body"));
}

TEST_CASE("http: what comes after a body is no header", "[http]") {
    server_world w;
    http_client c{w.server->port()};
    const std::string chunked = "transfer-encoding: chunked\r\n\r\n0\r\n";
    c.send("POST /header HTTP/1.1\r\nx-wanted: first\r\n" + chunked + "x-wanted: late\r\n\r\n");
    CHECK(has(c.response(), "\r\n\r\n[first]"));
    c.send("POST /header HTTP/1.1\r\n" + chunked + "x-wanted: late\r\n\r\n");
    CHECK(has(c.response(), "\r\n\r\n[]"));
}

TEST_CASE("http: what is said about a chunked body has a limit", "[http]") {
    http::server_settings s;
    s.read_timeout = 5s;
    server_world w{s};
    const std::string chunked = "POST /echo HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
    for (const auto* const begin : {"0\r\nx-late: ", "4;"}) {
        CAPTURE(begin);
        http_client c{w.server->port()};
        c.send(chunked + begin + std::string(1U << 20U, 'x'));
        CHECK(starts(c.rest(), "HTTP/1.1 431"));
    }
    http_client c{w.server->port()};
    c.send(chunked + "4;" + std::string(60'000, 'x') + "\r\nbody\r\n0\r\nx-late: y\r\n\r\n");
    CHECK(has(c.response(), "body"));
}

TEST_CASE("http: nothing of a request is told of the next", "[http]") {
    http::server_settings s;
    s.cors.allow_origin = {"http://a"};
    std::atomic<int> described{0};
    s.describe_refusal = [&](std::string_view, int, std::string_view) {
        ++described;
        return std::optional<http::response>{};
    };
    server_world w{s};
    http_client c{w.server->port()};
    c.send("HEAD /hello HTTP/1.0\r\nconnection: keep-alive\r\norigin: http://a\r\n\r\n");
    const auto first = c.until("\r\n\r\n");
    CHECK(starts(first, "HTTP/1.0 200"));
    CHECK(has(first, "connection: keep-alive"));
    CHECK(has(first, "access-control-allow-origin: http://a"));
    c.send("nonsense\r\n\r\n");
    const auto second = c.rest();
    CHECK(starts(second, "HTTP/1.1 400"));
    CHECK_FALSE(has(second, "access-control-allow-origin"));
    CHECK(described == 0);  // its path is not known
}

TEST_CASE("http: a refused body that is thrown away ends where it was to end", "[http]") {
    http::server_settings s;
    s.max_body_bytes = 10;
    server_world w{s};
    http_client c{w.server->port()};
    const std::string most(16U << 20U, 'x');
    c.send("POST /echo HTTP/1.1\r\ncontent-length: " + std::to_string(most.size()) + "\r\n\r\n");
    c.send(most + get_hello);
    const auto refused = c.response();
    CHECK(starts(refused, "HTTP/1.1 413"));
    CHECK_FALSE(has(refused, "connection: close"));
    CHECK(has(c.response(), "hello a=b"));
}

TEST_CASE("http: a refused body that would not follow is not waited for", "[http]") {
    http::server_settings s;
    s.max_body_bytes = 10;
    server_world w{s};
    for (const auto* const why : {"expect: 100-continue", "connection: close"}) {
        CAPTURE(why);
        http_client c{w.server->port()};
        c.send("POST /echo HTTP/1.1\r\ncontent-length: 11\r\n" + std::string{why} + "\r\n\r\n");
        const auto refused = c.rest();
        CHECK(starts(refused, "HTTP/1.1 413"));
        CHECK(has(refused, "connection: close"));
    }
}

TEST_CASE("http: who is refused while still sending hears why", "[http]") {
    http::server_settings s;
    s.read_timeout = 2s;
    server_world w{s};
    const std::string much(24U << 20U, 'x');  // more than is read and thrown away
    http_client c{w.server->port()};
    c.send("POST /echo HTTP/1.1\r\ncontent-length: " + std::to_string(much.size()) + "\r\n\r\n");
    const auto head = c.until("\r\n\r\n");
    CHECK(starts(head, "HTTP/1.1 413"));
    CHECK(has(head, "connection: close"));
    boost::system::error_code ec;
    boost::asio::write(c.socket(), boost::asio::buffer(much.data(), 4U << 20U), ec);
    CHECK_FALSE(ec);
    CHECK(has(c.rest(), "length limit exceeded"));
}

TEST_CASE("http: pipelined requests are answered in order", "[http]") {
    server_world w;
    http_client c{w.server->port()};
    c.send(post("/echo", "one") + post("/echo", "two") + get_hello);
    CHECK(has(c.response(), "one"));
    CHECK(has(c.response(), "two"));
    CHECK(has(c.response(), "hello"));
}

TEST_CASE("http: empty lines before a request are passed over", "[http]") {
    server_world w;
    const std::string request = "POST /echo HTTP/1.1\r\ncontent-length: 4\r\n\r\nbody";
    for (const std::string lines : {"\r\n", "\n", "\r\n\r\n\n"}) {
        CAPTURE(lines);
        http_client c{w.server->port()};
        c.send(lines + request);
        CHECK(has(c.response(), "body"));
        c.send(lines + request + lines + request);
        CHECK(has(c.response(), "body"));
        CHECK(has(c.response(), "body"));
    }
    http_client c{w.server->port()};
    for (const auto* part :
         {"\r", "\n", "\r\nPOST", " /echo HTTP/1.1\r\ncontent-length: 4\r\n\r\nbody"}) {
        c.send(part);
        std::this_thread::sleep_for(10ms);  // so that they are read one by one
    }
    CHECK(has(c.response(), "body"));
    c.send("\r\n");
    c.half_close();
    CHECK(c.rest().empty());
}

TEST_CASE("http: 100-continue is honoured", "[http]") {
    server_world w;
    http_client c{w.server->port()};
    for (const std::string expected : {"100-continue", "100-Continue"}) {
        CAPTURE(expected);
        c.send("POST /echo HTTP/1.1\r\ncontent-length: 4\r\nexpect: " + expected + "\r\n\r\n");
        CHECK(has(c.until("\r\n\r\n"), "100 Continue"));
        c.send("body");
        CHECK(has(c.response(), "body"));
    }
}

TEST_CASE("http: nobody answers a client that ends within a body", "[http]") {
    server_world w;
    http_client c{w.server->port()};
    c.send("POST /echo HTTP/1.1\r\ncontent-length: 4\r\n\r\nbo");
    c.half_close();
    CHECK(c.rest().empty());
}

TEST_CASE("http: HTTP/1.0 knows no 100-continue", "[http]") {
    server_world w;
    http_client c{w.server->port()};
    c.send("POST /echo HTTP/1.0\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\nbody");
    CHECK(starts(c.rest(), "HTTP/1.0 200"));
}

TEST_CASE("http: who sends a request too slowly is cut off", "[http]") {
    http::server_settings s;
    s.read_timeout = 50ms;
    server_world w{s};
    http_client c{w.server->port()};
    c.send("POST /echo HTTP/1.1\r\ncontent-length: 100\r\n\r\nx");
    CHECK(c.rest().empty());
    CHECK(within(2s, [&] { return w.server->connections() == 0; }));
}
