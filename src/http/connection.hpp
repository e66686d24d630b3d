#pragma once

#include "http/deadline.hpp"
#include "http/routing.hpp"
#include "http/stream_sink.hpp"
#include "truffula/http/cors.hpp"
#include "truffula/http/server.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace truffula::http {

/// What all connections of a server share.
struct server_context {
    server_settings settings;
    cors cross_origin;
    routing_table routes;
    std::atomic<bool> is_closing{false};
    std::atomic<std::size_t> connections{0};
};

/// One keep-alive connection: parse, dispatch, answer, repeat. Lives on one HTTP thread.
class connection : public std::enable_shared_from_this<connection> {
public:
    connection(
        std::shared_ptr<server_context> server,
        boost::asio::ip::tcp::socket socket,
        std::size_t thread);
    ~connection();

    static boost::asio::awaitable<void> run(std::shared_ptr<connection> self);

    /// Ends a connection that waits for another request; one that answers goes on, and one that was
    /// just opened may still ask.
    void close_if_kept();

    /// Ends a connection that waits for a request.
    void close_if_idle();

    /// Ends what is under way.
    void cancel() { stop_.emit(boost::asio::cancellation_type::terminal); }
    boost::asio::cancellation_slot slot() { return stop_.slot(); }

private:
    static constexpr std::string_view plain_text = "text/plain; charset=utf-8";
    static constexpr std::size_t max_pipelined = 65'536;  // bytes
    struct parsed;  // in the source: Beast's types are costly to include

    /// An answer as it goes out. Streams are long and many: what they do not need is gone by then.
    struct outgoing {
        std::string head;
        std::string body;
        std::unique_ptr<event_source> events;  // none: `body` is all
    };

    boost::asio::awaitable<bool> serve_one();
    boost::asio::awaitable<std::shared_ptr<request>> read_message();
    boost::asio::awaitable<bool> read_request(parsed& in);
    boost::asio::awaitable<bool> discard(std::uint64_t bytes);
    boost::asio::awaitable<bool> discard_body(parsed& in);
    boost::asio::awaitable<void> linger();
    boost::asio::awaitable<void> refuse(int status, std::string text, bool close);
    boost::asio::awaitable<bool> answer(std::shared_ptr<const request> r);
    boost::asio::awaitable<outgoing> handle(const handler& h, std::shared_ptr<const request> r);
    outgoing without_handler(const request& r, const routing_table::match& found);
    response internal_error() const;
    outgoing outgoing_of(response r, bool is_head);
    boost::asio::awaitable<bool> stream(outgoing& out);
    boost::asio::awaitable<bool> write(outgoing& out);
    void watch_farewell();
    void end_watch();
    void skip_empty_lines();
    bool read_pipelined();
    response refusal(int status, std::string_view text, bool close) const;
    std::string head_of(const response& r, bool is_stream, std::size_t length) const;

    std::shared_ptr<server_context> server_;
    boost::asio::ip::tcp::socket socket_;
    std::size_t thread_;
    boost::beast::flat_buffer buffer_;  // read, not yet parsed: pipelined requests
    std::shared_ptr<deadline> deadline_;
    boost::asio::cancellation_signal stop_;
    std::string origin_;       // of the request being answered
    std::string path_;         // likewise
    std::uint64_t watch_ = 0;  // for whose farewell is watched: the answers so far
    bool has_origin_ = false;
    bool is_http_1_0_ = false;
    bool is_head_ = false;
    bool must_close_ = false;
    bool is_idle_ = true;
    bool is_kept_ = false;  // alive after an answer
};

}  // namespace truffula::http
