// Streams, those who leave them, and the end of a server.
#include "support/http_client.hpp"
#include "unit/http/server_world.hpp"

#include <catch2/catch.hpp>

#include <thread>
#include <vector>

using namespace truffula;
using namespace std::chrono_literals;
using test::get_hello;
using test::has;
using test::http_client;
using test::post;
using test::server_world;
using test::starts;
using test::within;

TEST_CASE("http: events are chunks, and the connection goes on after them", "[http]") {
    server_world w;
    http_client c{w.server->port()};
    for (int i = 0; i < 2; ++i) {
        c.send("GET /count HTTP/1.1\r\nhost: x\r\n\r\n");
        const auto head = c.until("\r\n\r\n");
        CHECK(has(head, "transfer-encoding: chunked"));
        const auto body = c.until("0\r\n\r\n");
        CHECK(body == "9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n9\r\ndata: 3\n\n\r\n0\r\n\r\n");
    }
}

TEST_CASE("http: a stream to HTTP/1.0 ends with the connection", "[http]") {
    server_world w;
    http_client c{w.server->port()};
    c.send("GET /count HTTP/1.0\r\n\r\n");
    const auto all = c.rest();
    CHECK(all.ends_with("\r\n\r\ndata: 1\n\ndata: 2\n\ndata: 3\n\n"));
}

TEST_CASE("http: silence in a stream is broken by comments", "[http]") {
    http::server_settings s;
    s.keep_alive_interval = 10ms;
    server_world w{s};
    http_client c{w.server->port()};
    c.send("GET /silent HTTP/1.1\r\nhost: x\r\n\r\n");
    CHECK(has(c.until("\r\n\r\n"), "200 OK"));
    CHECK(c.until(":\n\n\r\n") == "3\r\n:\n\n\r\n");
    CHECK(c.until(":\n\n\r\n") == "3\r\n:\n\n\r\n");
}

TEST_CASE("http: the time to read a request ends with the request", "[http]") {
    http::server_settings s;
    s.read_timeout = 300ms;
    server_world w{s};
    http_client c{w.server->port()};
    c.send("GET /forever HTTP/1.1\r\nhost: x\r\n\r\n");
    CHECK(has(c.until("data: 100\n"), "data: 100\n"));  // 5 ms lie between two events
}

TEST_CASE("http: a client that leaves cancels its handler or stream", "[http]") {
    server_world w;
    http_client c{w.server->port()};
    SECTION("while the handler waits") {
        c.send("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n");
        REQUIRE(within(2s, [&] { return w.started == 1; }));
        c.close();
        CHECK(within(2s, [&] { return w.ended == 1; }));
    }
    SECTION("by half-closing") {
        c.send("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n");
        REQUIRE(within(2s, [&] { return w.started == 1; }));
        c.half_close();
        CHECK(within(2s, [&] { return w.ended == 1; }));
    }
    SECTION("in the middle of a stream") {
        c.send("GET /forever HTTP/1.1\r\nhost: x\r\n\r\n");
        c.until("data: 3");
        c.close();
        CHECK(within(2s, [&] { return w.destroyed == 1; }));
    }
    CHECK(within(2s, [&] { return w.server->connections() == 0; }));
}

TEST_CASE("http: a reader that takes nothing is cut off", "[http]") {
    http::server_settings s;
    s.write_timeout = 100ms;
    server_world w{s};
    http_client c{w.server->port()};
    c.socket().set_option(boost::asio::socket_base::receive_buffer_size{4096});
    std::string many;
    for (int i = 0; i < 200; ++i) many += post("/echo", std::string(100'000, 'x'));
    std::thread writer{[&] { c.send(many); }};
    CHECK(within(10s, [&] { return w.server->connections() == 0; }));
    writer.join();
}

TEST_CASE("http: stop lets answers end, and cancels what takes too long", "[http][mt]") {
    http::server_settings s;
    s.threads = 3;
    server_world w{s};
    http_client idle{w.server->port()};
    CHECK(starts(idle.ask(get_hello), "HTTP/1.1 200"));
    http_client busy{w.server->port()};
    busy.send("GET /forever HTTP/1.1\r\nhost: x\r\n\r\n");
    busy.until("data: 2");
    const auto before = std::chrono::steady_clock::now();
    w.server->stop(100ms);
    CHECK(std::chrono::steady_clock::now() - before < 5s);
    CHECK(idle.rest().empty());
    CHECK(w.destroyed == 1);
    CHECK(w.server->connections() == 0);
}

TEST_CASE("http: many streams on several threads", "[http][mt]") {
    http::server_settings s;
    s.threads = 3;
    server_world w{s};
    std::vector<std::unique_ptr<http_client>> clients;
    for (int i = 0; i < 200; ++i) {
        clients.push_back(std::make_unique<http_client>(w.server->port()));
        clients.back()->send("GET /count HTTP/1.1\r\nhost: x\r\n\r\n");
    }
    int whole = 0;
    for (auto& c : clients) {
        c->until("\r\n\r\n");
        whole += has(c->until("0\r\n\r\n"), "data: 3") ? 1 : 0;
    }
    CHECK(whole == 200);
}
