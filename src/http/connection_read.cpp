// How a connection reads requests. Beast's parser is used here only.
#include "http/connection.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <utility>

namespace truffula::http {
namespace {

namespace asio = boost::asio;
namespace bhttp = boost::beast::http;
using boost::system::error_code;

constexpr auto tuple_awaitable = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t max_discarded = 16U << 20U;  // bytes of what was refused
constexpr auto linger_time = std::chrono::seconds{2};
constexpr std::string_view body_too_large =
    "Failed to buffer the request body: length limit exceeded";

/// The answer to bytes that are no request.
int status_of(const error_code& ec) {
    const bool is_too_long =
        ec == bhttp::error::header_limit || ec == bhttp::error::buffer_overflow;
    if (is_too_long) return 431;
    if (ec == bhttp::error::bad_version) return 505;
    return 400;
}

std::string lower(std::string_view text) {
    std::string out{text};
    std::ranges::transform(out, out.begin(), [](unsigned char c) {
        return static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    });
    return out;
}

/// Beast takes a coding that it does not know for none: the body would be the next request. Codings
/// after "chunked" it refuses itself, so that the first tells.
bool has_foreign_coding(const bhttp::fields& head) {
    const auto coding = head.find(bhttp::field::transfer_encoding);
    return coding != head.end() && !boost::beast::iequals(coding->value(), "chunked");
}

}  // namespace

struct connection::parsed {
    bhttp::request_parser<bhttp::string_body> parser;
    decltype(request::headers) headers;
};

/// The next request; none when there is none, or it was refused (`must_close_` says what then).
/// What the parser needs is gone when it has returned.
asio::awaitable<std::shared_ptr<request>> connection::read_message() {
    deadline_->set(server_->settings.read_timeout);
    parsed in;
    const bool is_complete = co_await read_request(in);
    deadline_->clear();
    if (!is_complete) co_return nullptr;
    auto& message = in.parser.get();
    auto r = std::make_shared<request>();
    r->received = std::chrono::steady_clock::now();
    r->thread = thread_;
    r->method = message.method_string();
    auto target = split_target({message.target().data(), message.target().size()});
    r->path = std::move(target.path);
    r->query = std::move(target.query);
    r->headers = std::move(in.headers);
    r->body = std::move(message.body());
    must_close_ = !message.keep_alive() || server_->is_closing;
    co_return r;
}

/// Head and body; false when there is none, or it was refused (`must_close_` says what then).
asio::awaitable<bool> connection::read_request(parsed& in) {
    auto& parser = in.parser;
    parser.header_limit(static_cast<std::uint32_t>(server_->settings.max_header_bytes));
    parser.body_limit(boost::none);
    // Beast has no other limit for what is said about chunks, and after the last of them.
    buffer_.max_size(2 * (server_->settings.max_header_bytes + max_pipelined));
    must_close_ = true;
    has_origin_ = false;
    is_http_1_0_ = false;
    is_head_ = false;
    path_.clear();
    auto [ec, n] = co_await bhttp::async_read_header(socket_, buffer_, parser, tuple_awaitable);
    if (ec) {
        const bool is_closed =
            ec == bhttp::error::end_of_stream ||
            ec.category() != bhttp::make_error_code(bhttp::error::bad_method).category();
        if (!is_closed) co_await refuse(status_of(ec), std::string{}, true);
        co_return false;
    }
    auto& message = parser.get();
    is_http_1_0_ = message.version() < 11;
    is_head_ = message.method() == bhttp::verb::head;
    const auto origin = message.find(bhttp::field::origin);
    has_origin_ = origin != message.end();
    if (has_origin_) origin_ = std::string{origin->value()};
    path_ = split_target({message.target().data(), message.target().size()}).path;
    // Now: the parser puts what comes after a chunked body among them.
    for (const auto& field : message) {
        in.headers.emplace_back(
            lower({field.name_string().data(), field.name_string().size()}), field.value());
    }
    if (in.headers.size() > server_->settings.max_headers) {
        co_await refuse(431, std::string{}, true);
        co_return false;
    }
    if (has_foreign_coding(message)) {
        co_await refuse(400, std::string{}, true);
        co_return false;
    }
    const auto limit = server_->settings.max_body_bytes;
    if (const auto length = parser.content_length(); length && *length > limit) {
        co_return co_await discard_body(in);
    }
    parser.body_limit(limit);
    const bool expects =
        !is_http_1_0_ && bhttp::token_list{message[bhttp::field::expect]}.exists("100-continue");
    if (expects) {
        const std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        std::tie(ec, n) = co_await asio::async_write(socket_, asio::buffer(go_on), tuple_awaitable);
        if (ec) co_return false;
    }
    if (!parser.is_done()) {
        std::tie(ec, n) = co_await bhttp::async_read(socket_, buffer_, parser, tuple_awaitable);
    }
    if (!ec) co_return true;
    if (ec == bhttp::error::body_limit) {
        co_await refuse(413, std::string{body_too_large}, true);
    } else if (
        ec.category() == bhttp::make_error_code(bhttp::error::bad_method).category() &&
        ec != bhttp::error::partial_message) {
        co_await refuse(status_of(ec), std::string{}, true);
    }
    co_return false;
}

/// Reads bytes and throws them away; false when the peer has closed before.
asio::awaitable<bool> connection::discard(std::uint64_t bytes) {
    while (bytes > 0) {
        std::array<char, 16'384> rubbish;
        const auto want = std::min<std::uint64_t>(bytes, rubbish.size());
        auto [ec, n] = co_await socket_.async_read_some(
            asio::buffer(rubbish.data(), static_cast<std::size_t>(want)), tuple_awaitable);
        if (ec) co_return false;
        bytes -= n;
    }
    co_return true;
}

/// A body beyond the limit is read and thrown away, within reason, so that the connection can go
/// on.
asio::awaitable<bool> connection::discard_body(parsed& in) {
    auto& parser = in.parser;
    const auto length = *parser.content_length();
    const bool expects = parser.get()[bhttp::field::expect].size() > 0;
    const bool is_bounded = length <= max_discarded && !expects && parser.keep_alive();
    const auto held = std::min<std::uint64_t>(length, buffer_.size());
    buffer_.consume(static_cast<std::size_t>(held));
    if (is_bounded) {
        const bool is_whole = co_await discard(length - held);
        if (!is_whole) co_return false;
    }
    must_close_ = !is_bounded || server_->is_closing;
    co_await refuse(413, std::string{body_too_large}, must_close_);
    co_return false;
}

/// Who was refused may still be sending. To close now would answer that with a reset, and the peer
/// might lose the answer: what comes is thrown away for a while.
asio::awaitable<void> connection::linger() {
    error_code ignored;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    is_idle_ = true;
    is_kept_ = true;
    deadline_->set(linger_time);
    (void)co_await discard(max_discarded);
}

}  // namespace truffula::http
