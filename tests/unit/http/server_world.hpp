#pragma once

#include "support/run_coro.hpp"  // how results are shown
#include "truffula/http/server.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

namespace truffula::test {

using namespace std::chrono_literals;

inline boost::asio::awaitable<void> pause(std::chrono::milliseconds time) {
    boost::asio::steady_timer timer{co_await boost::asio::this_coro::executor, time};
    co_await timer.async_wait(boost::asio::use_awaitable);
}

/// Counts to `last`, then ends; says when it was destroyed.
class counting_source final : public http::event_source {
public:
    counting_source(int last, std::chrono::milliseconds gap, std::atomic<int>* destroyed)
        : last_(last), gap_(gap), destroyed_(destroyed) {}
    ~counting_source() override {
        if (destroyed_ != nullptr) ++*destroyed_;
    }
    boost::asio::awaitable<bool> next(std::string& out) override {
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

/// A server on a free port, with a handler for each way to answer.
struct server_world {
    explicit server_world(http::server_settings settings = {}) {
        settings.address = "127.0.0.1";
        settings.port = 0;
        auto made = http::server::create(settings);
        REQUIRE(made);
        server = std::move(*made);
        const auto listening = server->start({
            {"POST", "/echo", echo},
            {"POST", "/header", header},
            {"GET", "/hello", hello},
            {"GET", "/throws", throws},
            {"GET",
             "/slow",
             [this](auto) -> boost::asio::awaitable<http::response> { return slow(); }},
            {"GET",
             "/count",
             [this](auto) -> boost::asio::awaitable<http::response> { return stream(3, 0ms); }},
            {"GET",
             "/forever",
             [this](auto) -> boost::asio::awaitable<http::response> {
                 return stream(1'000'000, 5ms);
             }},
            {"GET",
             "/silent",
             [this](auto) -> boost::asio::awaitable<http::response> { return stream(1, 10s); }},
        });
        REQUIRE(listening);
    }

    static boost::asio::awaitable<http::response> echo(std::shared_ptr<const http::request> r) {
        http::response out;
        out.content_type = "text/plain";
        out.body = r->body;
        co_return out;
    }
    static boost::asio::awaitable<http::response> header(std::shared_ptr<const http::request> r) {
        http::response out;
        for (const auto& [name, value] : r->headers) {
            if (name == "x-wanted") out.body += value;
        }
        out.body = "[" + out.body + "]";
        co_return out;
    }
    static boost::asio::awaitable<http::response> hello(std::shared_ptr<const http::request> r) {
        http::response out;
        out.body = "hello " + r->query;
        co_return out;
    }
    static boost::asio::awaitable<http::response> throws(std::shared_ptr<const http::request>) {
        throw std::runtime_error{"a bug"};
        co_return http::response{};
    }
    boost::asio::awaitable<http::response> slow() {
        ++started;
        struct mark {
            std::atomic<int>& n;
            ~mark() { ++n; }
        } at_end{ended};
        co_await pause(10s);
        co_return http::response{};
    }
    boost::asio::awaitable<http::response> stream(int last, std::chrono::milliseconds gap) {
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

/// Waits for `done`; false when `limit` has passed.
template <class Done>
bool within(std::chrono::milliseconds limit, Done done) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!done()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::yield();
    }
    return true;
}

inline std::string post(std::string_view path, std::string_view body) {
    return "POST " + std::string{path} +
           " HTTP/1.1\r\nhost: x\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n" +
           std::string{body};
}
inline const std::string get_hello = "GET /hello?a=b HTTP/1.1\r\nhost: x\r\n\r\n";
inline bool starts(const std::string& text, std::string_view with) {
    return text.starts_with(with);
}
inline bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace truffula::test
