#pragma once

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include <charconv>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace truffula::test {

/// A blocking client that sends what it is told, byte by byte if need be.
class http_client {
public:
    explicit http_client(std::uint16_t port) : socket_(context_) {
        socket_.connect({boost::asio::ip::address_v4::loopback(), port});
    }

    void send(std::string_view bytes) {
        boost::asio::write(socket_, boost::asio::buffer(bytes), ignored_);
    }

    /// Everything up to and with `end`; what came before the peer closed if it never comes.
    std::string until(std::string_view end) {
        const auto found = buffer_.find(end);
        if (found != std::string::npos) return take(found + end.size());
        const auto n = boost::asio::read_until(
            socket_, boost::asio::dynamic_buffer(buffer_), std::string{end}, ignored_);
        return take(n == 0 ? buffer_.size() : n);
    }

    /// A whole response with its content-length.
    std::string response() {
        auto head = until("\r\n\r\n");
        const std::string_view name = "content-length: ";
        const auto at = head.find(name);
        if (at == std::string::npos) return head;
        std::size_t length = 0;
        std::from_chars(head.data() + at + name.size(), head.data() + head.size(), length);
        if (buffer_.size() < length) {
            boost::asio::read(
                socket_,
                boost::asio::dynamic_buffer(buffer_),
                boost::asio::transfer_exactly(length - buffer_.size()),
                ignored_);
        }
        return head + take(length);
    }

    std::string ask(std::string_view request) {
        send(request);
        return response();
    }

    /// Everything until the peer closes.
    std::string rest() {
        boost::asio::read(socket_, boost::asio::dynamic_buffer(buffer_), ignored_);
        return take(buffer_.size());
    }

    void half_close() { socket_.shutdown(boost::asio::ip::tcp::socket::shutdown_send, ignored_); }
    void close() { socket_.close(ignored_); }
    boost::asio::ip::tcp::socket& socket() { return socket_; }

private:
    std::string take(std::size_t n) {
        auto first = buffer_.substr(0, n);
        buffer_.erase(0, n);
        return first;
    }

    boost::asio::io_context context_;
    boost::asio::ip::tcp::socket socket_;
    boost::system::error_code ignored_;
    std::string buffer_;
};

}  // namespace truffula::test
