#include "bench/bare_beast.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <utility>

namespace truffula::bench {
namespace {

namespace asio = boost::asio;
namespace bhttp = boost::beast::http;
using tcp = asio::ip::tcp;
constexpr auto tuple_awaitable = asio::as_tuple(asio::use_awaitable);

asio::awaitable<void> serve(tcp::socket socket) {
    boost::beast::flat_buffer buffer;
    for (;;) {
        bhttp::request<bhttp::string_body> request;
        auto [failed, n] = co_await bhttp::async_read(socket, buffer, request, tuple_awaitable);
        if (failed) co_return;
        bhttp::response<bhttp::string_body> response{bhttp::status::ok, request.version()};
        response.set(bhttp::field::content_type, "application/json");
        response.body() = R"({"generated_text":" token"})";
        response.keep_alive(request.keep_alive());
        response.prepare_payload();
        std::tie(failed, n) = co_await bhttp::async_write(socket, response, tuple_awaitable);
        if (failed || !response.keep_alive()) co_return;
    }
}

asio::awaitable<void> listen(tcp::acceptor acceptor) {
    for (;;) {
        auto socket = co_await acceptor.async_accept(asio::use_awaitable);
        socket.set_option(tcp::no_delay{true});
        asio::co_spawn(acceptor.get_executor(), serve(std::move(socket)), asio::detached);
    }
}

}  // namespace

void serve_bare_beast(std::uint16_t port) {
    asio::io_context context{1};
    tcp::acceptor acceptor{context, {asio::ip::address_v4::loopback(), port}};
    asio::co_spawn(context, listen(std::move(acceptor)), asio::detached);
    context.run();
}

}  // namespace truffula::bench
