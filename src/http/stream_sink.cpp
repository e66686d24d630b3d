#include "http/stream_sink.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/socket.h>

#include <cerrno>

namespace truffula::http {

bool stream_sink::write(std::string_view bytes) {
    if (is_full()) {
        waiting_.append(bytes);
        return true;
    }
    std::size_t sent = 0;
    while (sent < bytes.size()) {
        const auto n = ::send(
            socket_.native_handle(),
            bytes.data() + sent,
            bytes.size() - sent,
            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            sent += static_cast<std::size_t>(n);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            waiting_ = bytes.substr(sent);
            sent_ = 0;
            return true;
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

bool stream_sink::try_write() {
    auto rest = std::move(waiting_);
    rest.erase(0, sent_);
    waiting_.clear();
    sent_ = 0;
    return write(rest);
}

boost::asio::awaitable<bool> stream_sink::flush() {
    while (is_full()) {
        auto [ec] = co_await socket_.async_wait(
            boost::asio::ip::tcp::socket::wait_write,
            boost::asio::as_tuple(boost::asio::use_awaitable));
        if (ec || !try_write()) co_return false;
    }
    co_return true;
}

}  // namespace truffula::http
