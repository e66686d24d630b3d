#include "bench/replay.hpp"

#include "bench/http_load.hpp"
#include "bench/stream_reader.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <deque>
#include <string>
#include <utility>

namespace truffula::bench {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using clock = std::chrono::steady_clock;

constexpr auto tuple_awaitable = asio::as_tuple(asio::use_awaitable);
constexpr std::string_view head_end = "\r\n\r\n";

std::string body_of(const simulator::workload& from, const simulator::arrival& a) {
    std::string words = "a";
    for (std::uint32_t i = 1; i < a.input_tokens; ++i) words += " a";
    auto text = R"({"inputs":")" + words + R"(","parameters":{"truncate":)" +
                std::to_string(a.input_tokens) + R"(,"max_new_tokens":)" +
                std::to_string(a.output_tokens);
    if (a.adapter != 0) text += R"(,"adapter_id":")" + from.adapters[a.adapter] + '"';
    return text + "}}";
}

/// What all requests share. \threads one.
struct clients {
    asio::io_context& context;
    tcp::endpoint router;
    const simulator::workload& from;
    clock::time_point start;
    simulator::outcome out;
    // Connections of requests that ended, longest idle first: taken in turn, so that none is left
    // until the router closes it.
    std::deque<tcp::socket> idle;
};

/// Notes the tokens of one request as they come.
class token_clock {
public:
    token_clock(clients& all, std::size_t request) : all_(all), request_(request) {}

    void note(std::size_t tokens) {
        const auto now = clock::now() - all_.start;
        auto& r = all_.out.requests[request_];
        for (; tokens > 0; --tokens, ++count_) {
            if (count_ == 0) {
                r.first_token = now;
            } else {
                all_.out.intervals.push_back({now - last_, 1});
            }
            last_ = now;
        }
        r.done = now;
        all_.out.end = std::max(all_.out.end, r.done);
    }

    std::size_t count() const { return count_; }

private:
    clients& all_;
    std::size_t request_;
    std::size_t count_ = 0;
    simulator::duration last_{0};
};

/// A connection; not open when there is none to be had.
asio::awaitable<tcp::socket> connection(clients& all) {
    if (!all.idle.empty()) {
        auto kept = std::move(all.idle.front());
        all.idle.pop_front();
        co_return kept;
    }
    tcp::socket fresh{all.context};
    auto [ec] = co_await fresh.async_connect(all.router, tuple_awaitable);
    boost::system::error_code ignored;
    if (ec) {
        fresh.close(ignored);
    } else {
        fresh.set_option(tcp::no_delay{true}, ignored);
    }
    co_return fresh;
}

/// True when the whole answer came; the connection is good for another request then.
asio::awaitable<bool> read_stream(tcp::socket& from, token_clock& tokens) {
    std::array<char, 16'384> bytes;
    std::string head;
    stream_reader body;
    while (!body.is_ended()) {
        auto [ec, n] = co_await from.async_read_some(asio::buffer(bytes), tuple_awaitable);
        if (ec) co_return false;
        std::string_view part{bytes.data(), n};
        if (!head.ends_with(head_end)) {
            head += part;
            const auto end = head.find(head_end);
            if (end == std::string::npos) continue;
            part.remove_prefix(end + head_end.size() - (head.size() - part.size()));
            head.resize(end + head_end.size());
            if (!head.starts_with("HTTP/1.1 200")) co_return false;
        }
        if (const auto events = body.take(part); events > 0) tokens.note(events);
    }
    co_return true;
}

asio::awaitable<void> ask(clients& all, std::size_t request) {
    const auto& a = all.from.arrivals[request];
    const auto text = post("/generate_stream", body_of(all.from, a));
    asio::steady_timer due{all.context, all.start + a.at};
    co_await due.async_wait(tuple_awaitable);
    auto to = co_await connection(all);
    token_clock tokens{all, request};
    auto [ec, n] = co_await asio::async_write(to, asio::buffer(text), tuple_awaitable);
    if (!ec && co_await read_stream(to, tokens)) all.idle.push_back(std::move(to));
    // An error in the stream is one event, too: whoever got all tokens got the answer.
    all.out.requests[request].has_failed = tokens.count() != a.output_tokens;
}

}  // namespace

simulator::outcome replay(
    std::uint16_t port, const simulator::workload& from, std::chrono::seconds limit) {
    asio::io_context context{1};
    clients all{context, {asio::ip::address_v4::loopback(), port}, from, clock::now(), {}, {}};
    simulator::request_outcome open;
    open.has_failed = true;  // until it has ended
    all.out.requests.assign(from.arrivals.size(), open);
    for (std::size_t i = 0; i < from.arrivals.size(); ++i) {
        asio::co_spawn(context, ask(all, i), asio::detached);
    }
    all.start = clock::now();
    context.run_until(all.start + from.arrivals.back().at + limit);
    for (std::uint32_t i = 0; i < all.out.requests.size(); ++i) {
        if (all.out.requests[i].has_failed) all.out.failures.push_back({i, "no whole answer"});
    }
    return std::move(all.out);
}

}  // namespace truffula::bench
