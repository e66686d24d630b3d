#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace truffula::http {

/// The writing end of a stream: all that knows of the socket's descriptor.
class stream_sink {
public:
    explicit stream_sink(boost::asio::ip::tcp::socket& socket) : socket_(socket) {}

    /// Sends at once what the socket takes of `bytes` and keeps the rest. False: the peer is gone.
    bool write(std::string_view bytes);

    /// True while bytes wait for the socket.
    bool is_full() const { return sent_ < waiting_.size(); }

    /// Waits until all bytes have left. False: the peer is gone or the wait was cancelled.
    boost::asio::awaitable<bool> flush();

private:
    bool try_write();

    boost::asio::ip::tcp::socket& socket_;
    std::string waiting_;
    std::size_t sent_ = 0;
};

}  // namespace truffula::http
