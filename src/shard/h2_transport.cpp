// The connection: h2_session on an Asio socket. Plain callbacks, so that an answer resumes its
// caller straight from the read, without a hop.
#include "shard/deadline_book.hpp"
#include "shard/h2_session.hpp"
#include "truffula/shard/transport.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/socket.h>

#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace truffula::shard {
namespace {

namespace asio = boost::asio;
using error_code = boost::system::error_code;
using clock = std::chrono::steady_clock;
using stream_socket = asio::generic::stream_protocol::socket;

constexpr auto tuple_awaitable = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t read_size = 256U << 10U;
constexpr int most_pings = 2;  // per silence: gRPC's servers close connections that ping more

/// One open call; its waiter is resumed straight from the read that completed it.
class open_call : public std::enable_shared_from_this<open_call> {
public:
    explicit open_call(asio::any_io_executor ex) : executor_(std::move(ex)) {}

    void complete(result<std::string> answer) {
        answer_ = std::move(answer);
        if (auto waiter = std::exchange(waiter_, nullptr)) waiter->resume();
    }

    asio::awaitable<result<std::string>> get() {
        if (!answer_) {
            co_await asio::async_initiate<decltype(asio::use_awaitable), void()>(
                start_wait{this}, asio::use_awaitable);
        }
        if (!answer_) co_return error{errc::cancelled, "the call was given up"};
        co_return std::move(*answer_);
    }

private:
    struct parked {
        virtual ~parked() = default;
        virtual void resume() = 0;
    };
    template <class Handler>
    struct parked_handler final : parked {
        explicit parked_handler(Handler h) : handler(std::move(h)) {}
        void resume() override {
            asio::get_associated_cancellation_slot(handler).clear();
            auto h = std::move(handler);
            std::move(h)();
        }
        Handler handler;
    };
    struct start_wait {
        open_call* call;
        template <class Handler>
        void operator()(Handler&& handler) const {
            using plain = std::decay_t<Handler>;
            auto slot = asio::get_associated_cancellation_slot(handler);
            call->waiter_ = std::make_unique<parked_handler<plain>>(std::forward<Handler>(handler));
            if (!slot.is_connected()) return;
            slot.assign([weak = call->weak_from_this()](asio::cancellation_type) {
                const auto alive = weak.lock();
                if (!alive || !alive->waiter_) return;
                // Not from inside the signal's own call: the slot is cleared on resumption.
                std::shared_ptr<parked> waiting{std::move(alive->waiter_)};
                auto ex = alive->executor_;
                asio::post(ex, [waiting] { waiting->resume(); });
            });
        }
    };

    asio::any_io_executor executor_;
    std::optional<result<std::string>> answer_;
    std::unique_ptr<parked> waiter_;
};

class connection : public std::enable_shared_from_this<connection> {
public:
    connection(stream_socket socket, std::string authority, transport_options options)
        : socket_(std::move(socket)),
          timer_(socket_.get_executor()),
          ping_timer_(socket_.get_executor()),
          authority_(std::move(authority)),
          options_(options),
          session_(options.max_message_bytes),
          input_(read_size, '\0') {}

    void start() {
        flush();
        read();
        watch_silence();
    }

    std::pair<std::int32_t, std::shared_ptr<open_call>> call(
        std::string_view method, std::string_view request, clock::duration timeout) {
        auto pending = std::make_shared<open_call>(socket_.get_executor());
        if (broken_) {
            pending->complete(*broken_);
            return {0, pending};
        }
        if (request.size() > options_.max_message_bytes) {
            pending->complete(error{
                errc::protocol,
                "a request of " + std::to_string(request.size()) + " bytes; at most " +
                    std::to_string(options_.max_message_bytes)});
            return {0, pending};
        }
        const auto prefix = frame_prefix(request.size());
        std::string body;
        body.reserve(prefix.size() + request.size());
        body.append(prefix.data(), prefix.size());
        body += request;
        const auto stream = session_.submit(method, authority_, std::move(body));
        if (!stream) {
            pending->complete(stream.error());
            return {0, pending};
        }
        calls_[*stream] = pending;
        flush();
        book_.sent(*stream, timeout, clock::now());
        arm();
        return {*stream, pending};
    }

    void abandon(std::int32_t stream) {
        if (calls_.erase(stream) == 0 || broken_) return;
        session_.abandon(stream);
        book_.done(stream, clock::now());
        flush();
    }

    void close() {
        if (!broken_) broken_ = error{errc::connection, "the connection was closed"};
        error_code ignored;
        socket_.close(ignored);
        timer_.cancel();
        ping_timer_.cancel();
    }

private:
    void read() {
        socket_.async_read_some(
            asio::buffer(input_),
            [self = shared_from_this()](error_code ec, std::size_t n) { self->on_read(ec, n); });
    }

    void on_read(error_code ec, std::size_t n) {
        if (broken_) return;
        if (ec) return fail({errc::connection, "the connection broke: " + ec.message()});
        pings_ = 0;
        if (auto ok = session_.receive({input_.data(), n}); !ok) return fail(ok.error());
        finish_calls();
        if (broken_) return;
        flush();
        if (broken_) return;
        if (session_.is_over()) return fail({errc::connection, "the shard said goodbye"});
        read();
    }

    /// Completes what the session finished. A caller may start its next call in here.
    void finish_calls() {
        auto finished = std::exchange(session_.finished(), {});
        for (auto& f : finished) {
            auto found = calls_.extract(f.stream);
            if (!found) continue;
            book_.done(f.stream, clock::now());
            found.mapped()->complete(std::move(f.answer));
        }
    }

    /// Writes as much as the socket takes now; the rest when it is writable again.
    void flush() {
        if (is_writing_ || broken_) return;
        session_.take_output(output_);
        while (written_ < output_.size()) {
            const auto n = ::send(
                socket_.native_handle(),
                output_.data() + written_,
                output_.size() - written_,
                MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n >= 0) {
                written_ += static_cast<std::size_t>(n);
            } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
                return wait_writable();
            } else if (errno != EINTR) {
                // The read learns of it, too, and tells the callers: not from inside their call.
                return;
            }
        }
        output_.clear();
        written_ = 0;
    }

    void wait_writable() {
        is_writing_ = true;
        socket_.async_wait(stream_socket::wait_write, [self = shared_from_this()](error_code ec) {
            self->is_writing_ = false;
            if (!ec) self->flush();
        });
    }

    void fail(const error& why) {
        broken_ = why;
        error_code ignored;
        socket_.close(ignored);
        timer_.cancel();
        ping_timer_.cancel();
        session_.fail_all(why);
        finish_calls();
        for (auto& [stream, pending] : std::exchange(calls_, {})) pending->complete(why);
    }

    /// One timer for all calls: it looks again when it was armed for a call that has ended since.
    void arm() {
        const auto deadline = book_.next();
        if (!deadline || (armed_ && *armed_ <= *deadline)) return;
        armed_ = deadline;
        timer_.expires_at(*deadline);
        timer_.async_wait([weak = weak_from_this()](error_code ec) {
            const auto self = weak.lock();
            if (!ec && self) self->on_deadline();
        });
    }

    void on_deadline() {
        armed_.reset();
        while (const auto late = book_.expired(clock::now())) {
            book_.done(*late, clock::now());
            session_.abandon(*late);
            auto found = calls_.extract(*late);
            if (found) {
                found.mapped()->complete(
                    error{errc::deadline_exceeded, "the shard did not answer in time"});
            }
        }
        flush();
        arm();
    }

    /// Finds dead peers that no packet tells of: the pings make TCP notice.
    void watch_silence() {
        ping_timer_.expires_after(options_.ping_interval);
        ping_timer_.async_wait([weak = weak_from_this()](error_code ec) {
            const auto self = weak.lock();
            if (ec || !self || self->broken_) return;
            if (!self->calls_.empty() && self->pings_ < most_pings) {
                ++self->pings_;
                self->session_.ping();
                self->flush();
            }
            self->watch_silence();
        });
    }

    stream_socket socket_;
    asio::steady_timer timer_;
    asio::steady_timer ping_timer_;
    std::string authority_;
    transport_options options_;
    h2_session session_;
    std::unordered_map<std::int32_t, std::shared_ptr<open_call>> calls_;
    deadline_book book_;
    std::optional<clock::time_point> armed_;
    std::string input_;
    std::string output_;
    std::size_t written_ = 0;
    bool is_writing_ = false;
    int pings_ = 0;
    std::optional<error> broken_;
};

class h2_call final : public pending_call<std::string> {
public:
    h2_call(std::weak_ptr<connection> owner, std::int32_t stream, std::shared_ptr<open_call> state)
        : owner_(std::move(owner)), stream_(stream), state_(std::move(state)) {}
    ~h2_call() override {
        if (const auto alive = owner_.lock()) alive->abandon(stream_);
    }
    asio::awaitable<result<std::string>> get() override { return state_->get(); }

private:
    std::weak_ptr<connection> owner_;
    std::int32_t stream_;
    std::shared_ptr<open_call> state_;
};

class h2_transport final : public transport {
public:
    explicit h2_transport(std::shared_ptr<connection> c) : connection_(std::move(c)) {}
    ~h2_transport() override { connection_->close(); }

    std::unique_ptr<pending_call<std::string>> start(
        std::string_view method, std::string_view request, clock::duration timeout) override {
        auto [stream, state] = connection_->call(method, request, timeout);
        return std::make_unique<h2_call>(connection_, stream, std::move(state));
    }

private:
    std::shared_ptr<connection> connection_;
};

error unreachable(const std::string& address, const error_code& ec) {
    return {errc::connection, address + ": " + ec.message()};
}

asio::awaitable<result<stream_socket>> connect_unix(std::string address, std::string path) {
    const auto ex = co_await asio::this_coro::executor;
    asio::local::stream_protocol::socket socket{ex};
    if (path.size() > 107) co_return error{errc::invalid_config, address + ": path too long"};
    asio::local::stream_protocol::endpoint peer{path};
    auto [ec] = co_await socket.async_connect(peer, tuple_awaitable);
    if (ec) co_return unreachable(address, ec);
    co_return stream_socket{std::move(socket)};
}

asio::awaitable<result<stream_socket>> connect_tcp(std::string address, std::string host_port) {
    const auto ex = co_await asio::this_coro::executor;
    const auto colon = host_port.rfind(':');
    if (colon == std::string::npos) {
        co_return error{errc::invalid_config, address + ": expected host:port"};
    }
    auto host = host_port.substr(0, colon);
    if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
    asio::ip::tcp::resolver resolver{ex};
    auto [ec, found] =
        co_await resolver.async_resolve(host, host_port.substr(colon + 1), tuple_awaitable);
    for (const auto& peer : found) {
        asio::ip::tcp::socket socket{ex};
        std::tie(ec) = co_await socket.async_connect(peer.endpoint(), tuple_awaitable);
        if (ec) continue;
        error_code ignored;
        socket.set_option(asio::ip::tcp::no_delay{true}, ignored);
        socket.set_option(asio::socket_base::keep_alive{true}, ignored);
        co_return stream_socket{std::move(socket)};
    }
    co_return unreachable(address, ec);
}

}  // namespace

asio::awaitable<result<std::unique_ptr<transport>>> connect(
    std::string address, transport_options options) {
    constexpr std::string_view unix_scheme = "unix://";
    constexpr std::string_view tcp_scheme = "tcp://";
    result<stream_socket> socket =
        error{errc::invalid_config, address + ": expected unix:///path or tcp://host:port"};
    std::string authority = "localhost";
    if (address.starts_with(unix_scheme)) {
        socket = co_await connect_unix(address, address.substr(unix_scheme.size()));
    } else if (address.starts_with(tcp_scheme)) {
        authority = address.substr(tcp_scheme.size());
        socket = co_await connect_tcp(address, authority);
    }
    if (!socket) co_return socket.error();
    error_code ignored;
    socket->native_non_blocking(true, ignored);
    auto made = std::make_shared<connection>(std::move(*socket), std::move(authority), options);
    made->start();
    std::unique_ptr<transport> opened = std::make_unique<h2_transport>(std::move(made));
    co_return std::move(opened);
}

}  // namespace truffula::shard
