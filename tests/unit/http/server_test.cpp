#include "truffula/http/server.hpp"

#include "support/http_client.hpp"
#include "support/run_coro.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <catch2/catch.hpp>

#include <atomic>
#include <thread>

using namespace truffula;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using test::http_client;

namespace {

asio::awaitable<void> pause(std::chrono::milliseconds time) {
    asio::steady_timer timer{co_await asio::this_coro::executor, time};
    co_await timer.async_wait(asio::use_awaitable);
}

/// Counts to `last`, then ends; says when it was destroyed.
class counting_source final : public http::event_source {
public:
    counting_source(int last, std::chrono::milliseconds gap, std::atomic<int>* destroyed)
        : last_(last), gap_(gap), destroyed_(destroyed) {}
    ~counting_source() override {
        if (destroyed_ != nullptr) ++*destroyed_;
    }
    asio::awaitable<bool> next(std::string& out) override {
        if (gap_.count() > 0) co_await pause(gap_);
        out += "data: " + std::to_string(++count_) + "\n\n";
        co_return count_ < last_;
    }

private:
    int last_;
    int count_ = 0;
    std::chrono::milliseconds gap_;
    std::atomic<int>* destroyed_;
};

struct world {
    explicit world(http::server_settings settings = {}) {
        settings.address = "127.0.0.1";
        settings.port = 0;
        auto made = http::server::create(settings);
        REQUIRE(made);
        server = std::move(*made);
        server->start({
            {"POST", "/echo", echo},
            {"GET", "/hello", hello},
            {"GET", "/throws", throws},
            {"GET", "/slow", [this](auto) -> asio::awaitable<http::response> { return slow(); }},
            {"GET",
             "/count",
             [this](auto) -> asio::awaitable<http::response> { return stream(3, 0ms); }},
            {"GET",
             "/forever",
             [this](auto) -> asio::awaitable<http::response> { return stream(1'000'000, 5ms); }},
            {"GET",
             "/silent",
             [this](auto) -> asio::awaitable<http::response> { return stream(1, 10s); }},
        });
    }

    static asio::awaitable<http::response> echo(std::shared_ptr<const http::request> r) {
        http::response out;
        out.content_type = "text/plain";
        out.body = r->body;
        co_return out;
    }
    static asio::awaitable<http::response> hello(std::shared_ptr<const http::request> r) {
        http::response out;
        out.body = "hello " + r->query;
        co_return out;
    }
    static asio::awaitable<http::response> throws(std::shared_ptr<const http::request>) {
        throw std::runtime_error{"a bug"};
        co_return http::response{};
    }
    asio::awaitable<http::response> slow() {
        ++started;
        struct mark {
            std::atomic<int>& n;
            ~mark() { ++n; }
        } at_end{ended};
        co_await pause(10s);
        co_return http::response{};
    }
    asio::awaitable<http::response> stream(int last, std::chrono::milliseconds gap) {
        http::response out;
        out.content_type = "text/event-stream";
        out.events = std::make_unique<counting_source>(last, gap, &destroyed);
        co_return out;
    }

    std::atomic<int> started{0};
    std::atomic<int> ended{0};
    std::atomic<int> destroyed{0};
    std::unique_ptr<http::server> server;
};

template <class Done>
bool within(std::chrono::milliseconds limit, Done done) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!done()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::yield();
    }
    return true;
}

std::string post(std::string_view path, std::string_view body) {
    return "POST " + std::string{path} +
           " HTTP/1.1\r\nhost: x\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n" +
           std::string{body};
}
const std::string get_hello = "GET /hello?a=b HTTP/1.1\r\nhost: x\r\n\r\n";
bool starts(const std::string& text, std::string_view with) {
    return text.starts_with(with);
}
bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("http: a request is answered, and the connection goes on", "[http]") {
    world w;
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
    world w;
    http_client c{w.server->port()};
    CHECK(starts(c.ask("GET /nope HTTP/1.1\r\nhost: x\r\n\r\n"), "HTTP/1.1 404"));
    CHECK(starts(c.ask("GET /%68ello HTTP/1.1\r\nhost: x\r\n\r\n"), "HTTP/1.1 404"));
    const auto wrong = c.ask(post("/hello", ""));
    CHECK(starts(wrong, "HTTP/1.1 405"));
    CHECK(has(wrong, "allow: GET,HEAD"));
    CHECK(starts(c.ask("get /hello HTTP/1.1\r\nhost: x\r\n\r\n"), "HTTP/1.1 405"));
}

TEST_CASE("http: HEAD has the length but no body", "[http]") {
    world w;
    http_client c{w.server->port()};
    c.send("HEAD /hello HTTP/1.1\r\nhost: x\r\n\r\n" + get_hello);
    const auto head = c.until("\r\n\r\n");
    CHECK(has(head, "content-length: 6"));
    CHECK(starts(c.response(), "HTTP/1.1 200"));
}

TEST_CASE("http: OPTIONS is answered by CORS on any path", "[http]") {
    world w;
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
    world w{s};
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

TEST_CASE("http: a body at the limit passes, one byte more does not", "[http]") {
    http::server_settings s;
    s.max_body_bytes = 1000;
    world w{s};
    http_client c{w.server->port()};
    CHECK(starts(c.ask(post("/echo", std::string(1000, 'x'))), "HTTP/1.1 200"));
    const auto refused = c.ask(post("/echo", std::string(1001, 'x')));
    CHECK(starts(refused, "HTTP/1.1 413"));
    CHECK(has(refused, "Failed to buffer the request body: length limit exceeded"));
    CHECK(starts(c.ask(get_hello), "HTTP/1.1 200"));  // the connection stays open
    c.send(
        "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n" +
        std::string(1001, 'x') + "\r\n0\r\n\r\n");
    CHECK(starts(c.response(), "HTTP/1.1 413"));
}

TEST_CASE("http: headers have a limit in bytes and in number", "[http]") {
    world w;
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
    world w;
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

TEST_CASE("http: HTTP/1.0, no host and absolute targets are accepted", "[http]") {
    world w;
    http_client old{w.server->port()};
    old.send("GET /hello HTTP/1.0\r\n\r\n");
    const auto got = old.rest();
    CHECK(starts(got, "HTTP/1.0 200"));
    CHECK(has(got, "connection: close"));
    http_client c{w.server->port()};
    CHECK(has(c.ask("GET http://any.example/hello?q HTTP/1.1\r\n\r\n"), "hello q"));
}

TEST_CASE("http: pipelined requests are answered in order", "[http]") {
    world w;
    http_client c{w.server->port()};
    c.send(post("/echo", "one") + post("/echo", "two") + get_hello);
    CHECK(has(c.response(), "one"));
    CHECK(has(c.response(), "two"));
    CHECK(has(c.response(), "hello"));
}

TEST_CASE("http: 100-continue is honoured", "[http]") {
    world w;
    http_client c{w.server->port()};
    c.send("POST /echo HTTP/1.1\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n");
    CHECK(has(c.until("\r\n\r\n"), "100 Continue"));
    c.send("body");
    CHECK(has(c.response(), "body"));
}

TEST_CASE("http: who sends a request too slowly is cut off", "[http]") {
    http::server_settings s;
    s.read_timeout = 50ms;
    world w{s};
    http_client c{w.server->port()};
    c.send("POST /echo HTTP/1.1\r\ncontent-length: 100\r\n\r\nx");
    CHECK(c.rest().empty());
    CHECK(within(2s, [&] { return w.server->connections() == 0; }));
}

TEST_CASE("http: events are chunks, and the connection goes on after them", "[http]") {
    world w;
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
    world w;
    http_client c{w.server->port()};
    c.send("GET /count HTTP/1.0\r\n\r\n");
    const auto all = c.rest();
    CHECK(all.ends_with("\r\n\r\ndata: 1\n\ndata: 2\n\ndata: 3\n\n"));
}

TEST_CASE("http: silence in a stream is broken by comments", "[http]") {
    http::server_settings s;
    s.keep_alive_interval = 10ms;
    world w{s};
    http_client c{w.server->port()};
    c.send("GET /silent HTTP/1.1\r\nhost: x\r\n\r\n");
    CHECK(has(c.until("\r\n\r\n"), "200 OK"));
    CHECK(c.until(":\n\n\r\n") == "3\r\n:\n\n\r\n");
    CHECK(c.until(":\n\n\r\n") == "3\r\n:\n\n\r\n");
}

TEST_CASE("http: a client that leaves cancels its handler or stream", "[http]") {
    world w;
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
    world w{s};
    http_client c{w.server->port()};
    c.socket().set_option(asio::socket_base::receive_buffer_size{4096});
    std::string many;
    for (int i = 0; i < 200; ++i) many += post("/echo", std::string(100'000, 'x'));
    std::thread writer{[&] { c.send(many); }};
    CHECK(within(10s, [&] { return w.server->connections() == 0; }));
    writer.join();
}

TEST_CASE("http: an exception of a handler costs its connection only", "[http]") {
    world w;
    http_client c{w.server->port()};
    c.send("GET /throws HTTP/1.1\r\nhost: x\r\n\r\n");
    const auto got = c.rest();
    CHECK(starts(got, "HTTP/1.1 500"));
    http_client again{w.server->port()};
    CHECK(starts(again.ask(get_hello), "HTTP/1.1 200"));
}

TEST_CASE("http: a port in use is an error that names it", "[http]") {
    world w;
    http::server_settings s;
    s.address = "127.0.0.1";
    s.port = w.server->port();
    const auto second = http::server::create(s);
    REQUIRE(second.has_error());
    CHECK(has(second.error().detail, std::to_string(s.port)));
}

TEST_CASE("http: stop lets answers end, and cancels what takes too long", "[http][mt]") {
    http::server_settings s;
    s.threads = 3;
    world w{s};
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
    world w{s};
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
