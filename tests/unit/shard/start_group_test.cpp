#include "support/run_coro.hpp"
#include "truffula/shard/shard_group.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <catch2/catch.hpp>

#include <string>

using namespace truffula;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::ip::tcp;

TEST_CASE("start: a host that answers nothing is not waited for longer than any other", "[shard]") {
    test::run_coro([]() -> asio::awaitable<void> {
        const auto ex = co_await asio::this_coro::executor;
        // Linux drops connections beside the one that a backlog of 0 leaves room for.
        tcp::acceptor full{ex};
        full.open(tcp::v4());
        full.bind({asio::ip::address_v4::loopback(), 0});
        full.listen(0);
        tcp::socket first{ex};
        co_await first.async_connect(full.local_endpoint(), asio::use_awaitable);

        shard::group_settings settings;
        settings.master = "tcp://127.0.0.1:" + std::to_string(full.local_endpoint().port());
        settings.connect_timeout = 0s;
        const auto got = co_await shard::start_group(settings);
        REQUIRE(got.has_error());
        CHECK(got.error().code == errc::connection);
        CHECK(got.error().detail.find(settings.master) != std::string::npos);
    });
}
