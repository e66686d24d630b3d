// How a connection writes answers: whole ones, refusals, streams of events.
#include "http/connection.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/status.hpp>

#include <array>
#include <charconv>
#include <optional>
#include <utility>

namespace truffula::http {
namespace {

namespace asio = boost::asio;
namespace bhttp = boost::beast::http;

constexpr auto tuple_awaitable = asio::as_tuple(asio::use_awaitable);

std::string_view reason(int status) {
    return {
        bhttp::obsolete_reason(static_cast<bhttp::status>(status)).data(),
        bhttp::obsolete_reason(static_cast<bhttp::status>(status)).size()};
}

void append(std::string& head, std::string_view name, std::string_view value) {
    head.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

asio::awaitable<void> connection::refuse(int status, std::string text, bool close) {
    auto out = outgoing_of(refusal(status, text, close), is_head_);
    if (co_await write(out) && close) co_await linger();
}

/// What the server itself answers to a request that no handler sees.
response connection::refusal(int status, std::string_view text, bool close) const {
    std::optional<response> described;
    const auto& describe = server_->settings.describe_refusal;
    if (describe && !path_.empty()) described = describe(path_, status, text);
    response r = described ? std::move(*described) : response{};
    r.status = status;
    r.close = close;
    if (!described && !text.empty()) {
        r.content_type = plain_text;
        r.body = text;
    }
    return r;
}

std::string connection::head_of(const response& r, bool is_stream, std::size_t length) const {
    std::string head;
    head.reserve(512);
    head += is_http_1_0_ ? "HTTP/1.0 " : "HTTP/1.1 ";
    head += std::to_string(r.status);
    head += ' ';
    head += reason(r.status);
    head += "\r\n";
    if (!r.content_type.empty()) append(head, "content-type", r.content_type);
    for (const auto& [name, value] : r.headers) append(head, name, value);
    if (!is_stream) {
        append(head, "content-length", std::to_string(length));
    } else if (!is_http_1_0_) {
        append(head, "transfer-encoding", "chunked");
    }
    if (must_close_ || r.close || server_->is_closing || (is_stream && is_http_1_0_)) {
        append(head, "connection", "close");
    } else if (is_http_1_0_) {
        append(head, "connection", "keep-alive");
    }
    std::optional<std::string_view> origin;
    if (has_origin_) origin = origin_;
    server_->cross_origin.add(head, origin);
    head += "\r\n";
    return head;
}

asio::awaitable<bool> connection::write(outgoing& out) {
    deadline_->set(server_->settings.write_timeout);
    const std::array<asio::const_buffer, 2> both{asio::buffer(out.head), asio::buffer(out.body)};
    auto [ec, n] = co_await asio::async_write(socket_, both, tuple_awaitable);
    deadline_->clear();
    co_return !ec;
}

/// Events as they come: all that are ready in one chunk, one send for it.
asio::awaitable<bool> connection::stream(outgoing& out) {
    stream_sink sink{socket_};
    const bool is_chunked = !is_http_1_0_;
    const auto put = [&](std::string_view events) {
        std::string chunk = std::exchange(out.head, {});
        if (is_chunked && !events.empty()) {
            std::array<char, 16> size;
            const auto end =
                std::to_chars(size.data(), size.data() + size.size(), events.size(), 16).ptr;
            chunk.append(size.data(), end).append("\r\n").append(events).append("\r\n");
        } else {
            chunk += events;
        }
        return sink.write(chunk);
    };
    // Silence is broken by a comment from the timer itself: the wait for events goes on.
    std::shared_ptr<deadline> silence;
    const auto interval = server_->settings.keep_alive_interval;
    silence = std::make_shared<deadline>(socket_.get_executor(), [&] {
        if (!sink.is_full()) (void)put(":\n\n");
        silence->set(interval);
    });
    struct closer {
        std::shared_ptr<deadline>& d;
        ~closer() { d->close(); }
    } close_silence{silence};
    silence->set(interval);

    bool more = true;
    while (more) {
        std::string events;  // nothing is kept while the stream is silent
        more = co_await out.events->next(events);
        if (!events.empty() && !put(events)) co_return false;
        silence->set(interval);
        if (!sink.is_full()) continue;
        deadline_->set(server_->settings.write_timeout);
        const bool is_sent = co_await sink.flush();
        deadline_->clear();
        if (!is_sent) co_return false;
    }
    if (!out.head.empty() && !put({})) co_return false;
    if (is_chunked && !sink.write("0\r\n\r\n")) co_return false;
    deadline_->set(server_->settings.write_timeout);
    const bool is_sent = co_await sink.flush();
    deadline_->clear();
    co_return is_sent&& is_chunked;
}

}  // namespace truffula::http
