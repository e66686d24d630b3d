#include "bench/http_load.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <unistd.h>
#include <utility>

namespace truffula::bench {
namespace {

constexpr std::string_view head_end = "\r\n\r\n";

int connect_to(std::uint16_t port) {
    const auto fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        throw std::runtime_error(
            "cannot connect to port " + std::to_string(port) + ": " + std::strerror(errno));
    }
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

std::size_t content_length(const std::string& head) {
    constexpr std::string_view name = "content-length: ";
    const auto* const found = ::strcasestr(head.c_str(), name.data());
    return found == nullptr ? 0 : std::strtoul(found + name.size(), nullptr, 10);
}

}  // namespace

std::string post(std::string_view path, std::string_view body) {
    std::string request = "POST ";
    request.append(path).append(
        " HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        "content-length: ");
    request.append(std::to_string(body.size())).append(head_end).append(body);
    return request;
}

http_load::http_load(
    std::uint16_t port, std::size_t connections, std::vector<std::string> requests, kind k)
    : requests_(std::move(requests)),
      kind_(k),
      connections_(connections),
      buffer_(256U << 10U),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      stop_(::eventfd(0, EFD_CLOEXEC)) {
    epoll_event stop{EPOLLIN, {}};
    stop.data.ptr = nullptr;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, stop_, &stop);
    for (std::size_t i = 0; i < connections_.size(); ++i) {
        auto& c = connections_[i];
        c.request = &requests_[i % requests_.size()];
        c.fd = connect_to(port);
        epoll_event readable{EPOLLIN, {}};
        readable.data.ptr = &c;
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &readable);
    }
}

void http_load::start() {
    thread_ = std::thread{[this] { run(); }};
}

void http_load::stop() {
    if (stop_ < 0) return;
    ::eventfd_write(stop_, 1);
    if (thread_.joinable()) thread_.join();
    for (auto& c : connections_) ::close(c.fd);
    ::close(epoll_);
    ::close(std::exchange(stop_, -1));
}

void http_load::run() {
    for (auto& c : connections_) ask(c);
    std::array<epoll_event, 256> ready;
    for (;;) {
        const auto n = ::epoll_wait(epoll_, ready.data(), ready.size(), -1);
        for (int i = 0; i < n; ++i) {
            auto* const c = static_cast<connection*>(ready[static_cast<std::size_t>(i)].data.ptr);
            if (c == nullptr) return;
            if (receive(*c)) continue;
            ++failures_;
            ::epoll_ctl(epoll_, EPOLL_CTL_DEL, c->fd, nullptr);
        }
    }
}

void http_load::ask(connection& c) {
    c.has_head = false;
    const auto n = ::send(c.fd, c.request->data(), c.request->size(), MSG_NOSIGNAL);
    if (n != static_cast<ssize_t>(c.request->size())) ++failures_;
}

/// False when the connection is of no more use.
bool http_load::receive(connection& c) {
    const auto n = ::recv(c.fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (n == 0) return false;
    std::string_view bytes{buffer_.data(), static_cast<std::size_t>(n)};
    if (!c.has_head) {
        c.head += bytes;
        const auto end = c.head.find(head_end);
        if (end == std::string::npos) return true;
        c.has_head = true;
        c.left = content_length(c.head);
        if (!c.head.starts_with("HTTP/1.1 200")) return false;
        const auto in_head = end + head_end.size() - (c.head.size() - bytes.size());
        bytes.remove_prefix(in_head);
        c.head.clear();
    }
    return kind_ == kind::whole ? take_whole(c, bytes) : take_stream(c, bytes);
}

bool http_load::take_whole(connection& c, std::string_view bytes) {
    if (bytes.size() > c.left) return false;
    c.left -= bytes.size();
    if (c.left > 0) return true;
    ++responses_;
    ask(c);
    return true;
}

bool http_load::take_stream(connection& c, std::string_view bytes) {
    const auto events = c.body.take(bytes);
    events_ += events;
    if (events > 0 && !std::exchange(c.has_event, true)) ++streaming_;
    if (c.body.is_ended()) ++ended_;
    return true;
}

}  // namespace truffula::bench
