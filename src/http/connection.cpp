#include "http/connection.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <string_view>
#include <utility>

namespace truffula::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = asio::ip::tcp;

constexpr auto tuple_awaitable = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t read_size = 4096;

}  // namespace

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
    self->socket_.non_blocking(true, ignored);  // `read_pipelined` never waits
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
    for (skip_empty_lines(); buffer_.size() == 0; skip_empty_lines()) {
        // Nothing is kept for a connection that waits but the connection itself.
        buffer_ = {};
        auto [ec] = co_await socket_.async_wait(tcp::socket::wait_read, tuple_awaitable);
        if (ec || !read_pipelined()) co_return false;
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

/// Ahead of a request they mean nothing: some clients send one after a body (RFC 9112 section 2.2).
void connection::skip_empty_lines() {
    const auto* bytes = static_cast<const char*>(buffer_.data().data());
    const std::string_view held{bytes, buffer_.size()};
    buffer_.consume(std::min(held.find_first_not_of("\r\n"), held.size()));
}

/// False: the connection cannot go on.
asio::awaitable<bool> connection::answer(std::shared_ptr<const request> r) {
    const auto found = server_->routes.find(r->method, r->path);
    const bool is_handled = found.handle != nullptr && r->method != "OPTIONS";
    outgoing out;
    if (is_handled) {
        watch_farewell();
        out = co_await handle(*found.handle, std::move(r));
    } else {
        out = without_handler(*r, found);
    }
    bool goes_on = false;
    if (out.events) {
        goes_on = co_await stream(out);
    } else {
        goes_on = co_await write(out);
    }
    if (is_handled) end_watch();
    co_return goes_on;
}

/// To a preflight, and to what no handler is there for.
connection::outgoing connection::without_handler(
    const request& r, const routing_table::match& found) {
    const bool is_preflight = r.method == "OPTIONS";
    auto made = is_preflight ? response{} : refusal(found.status, {}, false);
    if (!found.allow.empty()) made.headers.emplace_back("allow", found.allow);
    auto out = outgoing_of(std::move(made), r.method == "HEAD");
    if (is_preflight) {
        out.head.resize(out.head.size() - 2);
        server_->cross_origin.add_preflight(out.head);
        out.head += "\r\n";
    }
    return out;
}

asio::awaitable<connection::outgoing> connection::handle(
    const handler& h, std::shared_ptr<const request> r) {
    const bool is_head = r->method == "HEAD";
    std::string what;
    try {
        co_return outgoing_of(co_await h(r), is_head);
    } catch (const boost::system::system_error& e) {
        if (e.code() == asio::error::operation_aborted) throw;  // cancelled: the client left
        what = e.what();
    } catch (const std::exception& e) {
        what = e.what();
    }
    spdlog::error("{} {} failed: {}", r->method, r->path, what);
    co_return outgoing_of(internal_error(), is_head);
}

response connection::internal_error() const {
    auto failed = refusal(500, "Internal error", true);
    if (failed.content_type == plain_text) {
        failed.content_type = "application/json";
        failed.body = R"({"error":"Internal error","error_type":"internal"})";
    }
    return failed;
}

connection::outgoing connection::outgoing_of(response r, bool is_head) {
    must_close_ = must_close_ || r.close || server_->is_closing;
    outgoing out;
    if (!is_head) out.events = std::move(r.events);
    out.head = head_of(r, out.events != nullptr, r.body.size());
    if (!is_head) out.body = std::move(r.body);
    return out;
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
