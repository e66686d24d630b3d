#include "http/connection.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <exception>
#include <optional>
#include <utility>

namespace truffula::http {
namespace {

namespace asio = boost::asio;
namespace bhttp = boost::beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;

constexpr auto tuple_awaitable = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t read_size = 4096;
constexpr std::size_t max_pipelined = 65'536;      // bytes
constexpr std::size_t max_discarded = 16U << 20U;  // bytes of a body that is too large
constexpr std::string_view plain_text = "text/plain; charset=utf-8";
constexpr std::string_view body_too_large =
    "Failed to buffer the request body: length limit exceeded";

std::string_view reason(int status) {
    return {
        bhttp::obsolete_reason(static_cast<bhttp::status>(status)).data(),
        bhttp::obsolete_reason(static_cast<bhttp::status>(status)).size()};
}

/// The answer to bytes that are no request.
int status_of(const error_code& ec) {
    if (ec == bhttp::error::header_limit) return 431;
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

void append(std::string& head, std::string_view name, std::string_view value) {
    head.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

struct connection::parsed {
    bhttp::request_parser<bhttp::string_body> parser;
};

connection::connection(
    std::shared_ptr<server_context> server, tcp::socket socket, std::size_t thread)
    : server_(std::move(server)), socket_(std::move(socket)), thread_(thread) {
    ++server_->connections;
    // On a time-out the operation under way fails, and the coroutine ends by itself.
    deadline_ = std::make_shared<deadline>(socket_.get_executor(), [this] {
        error_code ignored;
        socket_.close(ignored);
    });
}

connection::~connection() {
    deadline_->close();
    --server_->connections;
}

asio::awaitable<void> connection::run(std::shared_ptr<connection> self) {
    error_code ignored;
    self->socket_.set_option(tcp::no_delay{true}, ignored);
    try {
        while (co_await self->serve_one()) {
        }
    } catch (const boost::system::system_error& e) {
        if (e.code() != asio::error::operation_aborted) {
            spdlog::error("a connection ended by an exception: {}", e.what());
        }
    } catch (const std::exception& e) {
        spdlog::error("a connection ended by an exception: {}", e.what());
    }
    self->deadline_->close();
    self->socket_.shutdown(tcp::socket::shutdown_both, ignored);
    self->socket_.close(ignored);
}

void connection::close_if_kept() {
    error_code ec;
    if (is_kept_ && socket_.available(ec) == 0) close_if_idle();
}

void connection::close_if_idle() {
    if (!is_idle_) return;
    error_code ignored;
    socket_.close(ignored);
}

/// False when the connection is to be closed.
asio::awaitable<bool> connection::serve_one() {
    if (buffer_.size() == 0) {
        // Nothing is kept for a connection that waits but the connection itself.
        buffer_ = {};
        auto [ec] = co_await socket_.async_wait(tcp::socket::wait_read, tuple_awaitable);
        if (ec) co_return false;
    }
    is_idle_ = false;
    auto r = co_await read_message();
    if (!r) co_return !must_close_;
    if (buffer_.size() == 0) buffer_ = {};  // streams are long, and there are many
    const bool goes_on = co_await answer(std::move(r));
    is_idle_ = true;
    is_kept_ = true;
    co_return goes_on && !must_close_ && !server_->is_closing;
}

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
    for (const auto& field : message) {
        r->headers.emplace_back(
            lower({field.name_string().data(), field.name_string().size()}), field.value());
    }
    r->body = std::move(message.body());
    must_close_ = !message.keep_alive() || server_->is_closing;
    co_return r;
}

/// Head and body; false when there is none, or it was refused (`must_close_` says what then).
asio::awaitable<bool> connection::read_request(parsed& in) {
    auto& parser = in.parser;
    parser.header_limit(static_cast<std::uint32_t>(server_->settings.max_header_bytes));
    parser.body_limit(boost::none);
    must_close_ = true;
    has_origin_ = false;
    is_http_1_0_ = false;
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
    const auto origin = message.find(bhttp::field::origin);
    has_origin_ = origin != message.end();
    if (has_origin_) origin_ = std::string{origin->value()};
    path_ = split_target({message.target().data(), message.target().size()}).path;
    const auto fields = std::distance(message.begin(), message.end());
    if (static_cast<std::size_t>(fields) > server_->settings.max_headers) {
        co_await refuse(431, std::string{}, true);
        co_return false;
    }
    const auto limit = server_->settings.max_body_bytes;
    if (const auto length = parser.content_length(); length && *length > limit) {
        co_return co_await discard_body(in);
    }
    parser.body_limit(limit);
    if (bhttp::token_list{message[bhttp::field::expect]}.exists("100-continue")) {
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

/// A body beyond the limit is read and thrown away, within reason, so that the connection can go
/// on.
asio::awaitable<bool> connection::discard_body(parsed& in) {
    auto& parser = in.parser;
    auto left = *parser.content_length();
    const bool expects = parser.get()[bhttp::field::expect].size() > 0;
    const bool is_bounded = left <= max_discarded && !expects && parser.keep_alive();
    const auto held = std::min<std::uint64_t>(left, buffer_.size());
    buffer_.consume(static_cast<std::size_t>(held));
    left -= held;
    while (is_bounded && left > 0) {
        std::array<char, 16'384> rubbish;
        const auto want = std::min<std::uint64_t>(left, rubbish.size());
        auto [ec, n] = co_await socket_.async_read_some(
            asio::buffer(rubbish.data(), static_cast<std::size_t>(want)), tuple_awaitable);
        if (ec) co_return false;
        left -= n;
    }
    co_await refuse(413, std::string{body_too_large}, !is_bounded);
    must_close_ = !is_bounded;
    co_return false;
}

asio::awaitable<void> connection::refuse(int status, std::string text, bool close) {
    auto r = refusal(status, text, close);
    auto head = head_of(r, false, r.body.size());
    co_await write(std::move(head), std::move(r.body));
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

/// Finds the handler. False: the connection cannot go on.
asio::awaitable<bool> connection::answer(std::shared_ptr<const request> r) {
    const auto found = server_->routes.find(r->method, r->path);
    if (r->method == "OPTIONS") {
        response preflight;
        auto head = head_of(preflight, false, 0);
        head.resize(head.size() - 2);
        server_->cross_origin.add_preflight(head);
        if (!found.allow.empty()) append(head, "allow", found.allow);
        head += "\r\n";
        co_return co_await write(std::move(head), std::string{});
    }
    if (found.handle == nullptr) {
        auto none = refusal(found.status, {}, false);
        if (!found.allow.empty()) none.headers.emplace_back("allow", found.allow);
        auto head = head_of(none, false, none.body.size());
        if (r->method == "HEAD") none.body.clear();
        co_return co_await write(std::move(head), std::move(none.body));
    }
    const bool is_head = r->method == "HEAD";
    watch_farewell();
    const bool goes_on = co_await respond(*found.handle, std::move(r), is_head);
    end_watch();
    co_return goes_on;
}

asio::awaitable<response> connection::handle(const handler& h, std::shared_ptr<const request> r) {
    std::string what;
    try {
        co_return co_await h(r);
    } catch (const boost::system::system_error& e) {
        if (e.code() == asio::error::operation_aborted) throw;  // cancelled: the client left
        what = e.what();
    } catch (const std::exception& e) {
        what = e.what();
    }
    spdlog::error("{} {} failed: {}", r->method, r->path, what);
    auto failed = refusal(500, "Internal error", true);
    if (failed.content_type == plain_text) {
        failed.content_type = "application/json";
        failed.body = R"({"error":"Internal error","error_type":"internal"})";
    }
    co_return failed;
}

asio::awaitable<bool> connection::respond(
    const handler& h, std::shared_ptr<const request> r, bool is_head) {
    auto made = co_await handle(h, std::move(r));
    must_close_ = must_close_ || made.close || server_->is_closing;
    if (made.events && !is_head) {
        auto head = head_of(made, true, 0);
        co_return co_await stream(std::move(made), std::move(head));
    }
    auto head = head_of(made, false, made.body.size());
    std::string body;
    if (!is_head) body = std::move(made.body);
    co_return co_await write(std::move(head), std::move(body));
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

asio::awaitable<bool> connection::write(std::string head, std::string body) {
    deadline_->set(server_->settings.write_timeout);
    const std::array<asio::const_buffer, 2> both{asio::buffer(head), asio::buffer(body)};
    auto [ec, n] = co_await asio::async_write(socket_, both, tuple_awaitable);
    deadline_->clear();
    co_return !ec;
}

/// Events as they come: all that are ready in one chunk, one send for it.
asio::awaitable<bool> connection::stream(response r, std::string head) {
    stream_sink sink{socket_};
    const bool is_chunked = !is_http_1_0_;
    const auto put = [&](std::string_view events) {
        std::string chunk = std::exchange(head, {});
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
        more = co_await r.events->next(events);
        if (!events.empty() && !put(events)) co_return false;
        silence->set(interval);
        if (!sink.is_full()) continue;
        deadline_->set(server_->settings.write_timeout);
        const bool is_sent = co_await sink.flush();
        deadline_->clear();
        if (!is_sent) co_return false;
    }
    if (!head.empty() && !put({})) co_return false;
    if (is_chunked && !sink.write("0\r\n\r\n")) co_return false;
    deadline_->set(server_->settings.write_timeout);
    const bool is_sent = co_await sink.flush();
    deadline_->clear();
    co_return is_sent&& is_chunked;
}

/// Until `end_watch`: when the peer closes, half-closes or resets, what is under way is cancelled.
/// What it sends meanwhile is the start of its next request. A callback and not a coroutine beside
/// the other: every request and every open stream has one.
void connection::watch_farewell() {
    // It pipelines more than we keep: its farewell is seen after this answer.
    if (buffer_.size() >= max_pipelined) return;
    socket_.async_wait(
        tcp::socket::wait_read, [self = shared_from_this(), watch = watch_](error_code ec) {
            if (ec || watch != self->watch_) return;
            if (self->read_pipelined()) return self->watch_farewell();
            self->cancel();
        });
}

void connection::end_watch() {
    ++watch_;
    error_code ignored;
    socket_.cancel(ignored);
}

/// False when the peer has left.
bool connection::read_pipelined() {
    error_code ec;
    const auto n = socket_.read_some(buffer_.prepare(read_size), ec);
    if (ec == asio::error::would_block || ec == asio::error::try_again) return true;
    if (ec) return false;
    buffer_.commit(n);
    return true;
}

}  // namespace truffula::http
