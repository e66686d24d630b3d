#include "shard/h2_connection.hpp"

#include "shard/grpc_framing.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace truffula::shard {
namespace {

namespace asio = boost::asio;
using error_code = boost::system::error_code;

constexpr std::size_t read_size = 256U << 10U;
constexpr std::size_t most_kept = 64U << 10U;  // of the output: a Prefill may be megabytes
constexpr int most_pings = 2;  // per silence: gRPC's servers close connections that ping more

}  // namespace

h2_connection::h2_connection(stream_socket socket, std::string authority, transport_options options)
    : socket_(std::move(socket)),
      timer_(socket_.get_executor()),
      ping_timer_(socket_.get_executor()),
      authority_(std::move(authority)),
      options_(options),
      session_(options.max_message_bytes),
      input_(read_size, '\0') {}

void h2_connection::start() {
    flush();
    read();
    watch_silence();
}

std::pair<std::int32_t, std::shared_ptr<open_call<std::string>>> h2_connection::call(
    std::string_view method, std::string_view request, clock::duration timeout) {
    auto pending = std::make_shared<open_call<std::string>>();
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

void h2_connection::abandon(std::int32_t stream) {
    if (calls_.erase(stream) == 0 || broken_) return;
    session_.abandon(stream);
    book_.done(stream, clock::now());
    flush();
}

void h2_connection::close() {
    if (!broken_) broken_ = error{errc::connection, "the connection was closed"};
    error_code ignored;
    socket_.close(ignored);
    timer_.cancel();
    ping_timer_.cancel();
}

/// Waits, and does not read itself: `poll` reads from the same socket.
void h2_connection::read() {
    socket_.async_wait(stream_socket::wait_read, [self = shared_from_this()](error_code ec) {
        if (ec || self->broken_) return;
        self->poll();
        if (!self->broken_) self->read();
    });
}

void h2_connection::poll() {
    if (broken_) return;
    const auto n = ::recv(socket_.native_handle(), input_.data(), input_.size(), MSG_DONTWAIT);
    if (n > 0) return take({input_.data(), static_cast<std::size_t>(n)});
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    const error_code why =
        n == 0 ? error_code{asio::error::eof} : error_code{errno, boost::system::system_category()};
    fail({errc::connection, "the connection broke: " + why.message()});
}

void h2_connection::take(std::string_view bytes) {
    pings_ = 0;
    if (auto ok = session_.receive(bytes); !ok) return fail(ok.error());
    finish_calls();
    if (broken_) return;
    flush();
    if (broken_) return;
    if (session_.is_over()) fail({errc::connection, "the shard said goodbye"});
}

/// Completes what the session finished. A caller may start its next call in here.
void h2_connection::finish_calls() {
    auto finished = std::exchange(session_.finished(), {});
    for (auto& f : finished) {
        auto found = calls_.extract(f.stream);
        if (!found) continue;
        book_.done(f.stream, clock::now());
        found.mapped()->complete(std::move(f.answer));
    }
}

/// Writes as much as the socket takes now; the rest when it is writable again.
void h2_connection::flush() {
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
    if (output_.capacity() > most_kept) output_.shrink_to_fit();
    written_ = 0;
}

void h2_connection::wait_writable() {
    is_writing_ = true;
    socket_.async_wait(stream_socket::wait_write, [self = shared_from_this()](error_code ec) {
        self->is_writing_ = false;
        if (!ec) self->flush();
    });
}

void h2_connection::fail(const error& why) {
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
void h2_connection::arm() {
    const auto deadline = book_.next();
    if (!deadline || (armed_ && *armed_ <= *deadline)) return;
    armed_ = deadline;
    timer_.expires_at(*deadline);
    timer_.async_wait([weak = weak_from_this()](error_code ec) {
        const auto self = weak.lock();
        if (!ec && self) self->on_deadline();
    });
}

void h2_connection::on_deadline() {
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
void h2_connection::watch_silence() {
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

}  // namespace truffula::shard
