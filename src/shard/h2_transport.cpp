// How a shard is reached, and the transport's seam over the connection.
#include "shard/h2_connection.hpp"
#include "truffula/shard/transport.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

namespace truffula::shard {
namespace {

namespace asio = boost::asio;
using error_code = boost::system::error_code;
using clock = std::chrono::steady_clock;

constexpr auto tuple_awaitable = asio::as_tuple(asio::use_awaitable);

class h2_call final : public direct_call<std::string> {
public:
    h2_call(
        std::weak_ptr<h2_connection> owner,
        std::int32_t stream,
        std::shared_ptr<open_call<std::string>> state)
        : owner_(std::move(owner)), stream_(stream), state_(std::move(state)) {}
    ~h2_call() override {
        if (const auto alive = owner_.lock()) alive->abandon(stream_);
    }
    asio::awaitable<result<std::string>> get() override { return state_->get(); }
    void on_answer(std::function<void(result<std::string>&)> first) override {
        state_->on_answer(std::move(first));
    }

private:
    std::weak_ptr<h2_connection> owner_;
    std::int32_t stream_;
    std::shared_ptr<open_call<std::string>> state_;
};

class h2_transport final : public transport {
public:
    explicit h2_transport(std::shared_ptr<h2_connection> c) : connection_(std::move(c)) {}
    ~h2_transport() override { connection_->close(); }

    std::unique_ptr<direct_call<std::string>> start(
        std::string_view method, std::string_view request, clock::duration timeout) override {
        auto [stream, state] = connection_->call(method, request, timeout);
        return std::make_unique<h2_call>(connection_, stream, std::move(state));
    }

    void poll() override { connection_->poll(); }

private:
    std::shared_ptr<h2_connection> connection_;
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
    auto made = std::make_shared<h2_connection>(std::move(*socket), std::move(authority), options);
    made->start();
    std::unique_ptr<transport> opened = std::make_unique<h2_transport>(std::move(made));
    co_return std::move(opened);
}

}  // namespace truffula::shard
