#include "truffula/actor/oneshot.hpp"

#include "support/run_coro.hpp"

#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>

using namespace truffula;
using namespace std::chrono_literals;

TEST_CASE("oneshot: an answer reaches its waiter", "[actor]") {
    test::run_coro([]() -> asio::awaitable<void> {
        auto [to, from] = make_oneshot<int>(co_await asio::this_coro::executor);
        CHECK(to.send(7));
        auto got = co_await from.get();
        REQUIRE(got.has_value());
        CHECK(*got == 7);
    });
}

TEST_CASE("oneshot: a dropped reply completes its waiter, a gone waiter is visible", "[actor]") {
    test::run_coro([]() -> asio::awaitable<void> {
        auto ex = co_await asio::this_coro::executor;
        {
            auto [to, from] = make_oneshot<int>(ex);
            { auto gone = std::move(to); }
            auto got = co_await from.get();
            REQUIRE(got.has_error());
            CHECK(got.error().code == errc::stopped);
        }
        {
            auto [to, from] = make_oneshot<int>(ex);
            { auto gone = std::move(from); }
            CHECK(to.abandoned());
            CHECK_FALSE(to.send(1));
        }
    });
}

TEST_CASE("oneshot: waiting can be cancelled", "[actor]") {
    test::run_coro([]() -> asio::awaitable<void> {
        using namespace asio::experimental::awaitable_operators;
        auto ex = co_await asio::this_coro::executor;
        auto [to, from] = make_oneshot<int>(ex);
        asio::steady_timer timer{ex, 5ms};
        auto first = co_await (from.get() || timer.async_wait(asio::use_awaitable));
        CHECK(first.index() == 1);
    });
}

TEST_CASE("oneshot: destroying the context under a waiter leaks nothing", "[actor]") {
    asio::io_context ctx;
    auto [to, from] = make_oneshot<int>(ctx.get_executor());
    asio::co_spawn(
        ctx,
        [f = std::move(from)]() mutable -> asio::awaitable<void> { co_await f.get(); },
        asio::detached);
    ctx.run_for(5ms);
}
