#include "http/connection.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <spdlog/spdlog.h>

#include <exception>
#include <utility>

namespace truffula::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = asio::ip::tcp;

constexpr auto tuple_awaitable = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t read_size = 4096;
constexpr std::size_t max_pipelined = 65'536;  // bytes

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

/// Finds the handler. False: the connection cannot go on.
asio::awaitable<bool> connection::answer(std::shared_ptr<const request> r) {
    const auto found = server_->routes.find(r->method, r->path);
    if (r->method == "OPTIONS") {
        response preflight;
        if (!found.allow.empty()) preflight.headers.emplace_back("allow", found.allow);
        auto head = head_of(preflight, false, 0);
        head.resize(head.size() - 2);
        server_->cross_origin.add_preflight(head);
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
