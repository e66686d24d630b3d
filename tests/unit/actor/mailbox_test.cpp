#include "truffula/actor/mailbox.hpp"

#include "support/run_coro.hpp"

#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <memory>
#include <thread>

using namespace truffula;
using namespace std::chrono_literals;

TEST_CASE("mailbox: all that waits comes at once, in order", "[actor]") {
    test::run_coro([]() -> asio::awaitable<void> {
        mailbox<int> box{co_await asio::this_coro::executor};
        for (int i = 0; i < 3; ++i) REQUIRE(box.post(i));
        std::vector<int> got;
        const bool more = co_await box.next(got);
        REQUIRE(more);
        CHECK(got == std::vector{0, 1, 2});
    });
}

TEST_CASE("mailbox: what was accepted before close is delivered, nothing after", "[actor]") {
    test::run_coro([]() -> asio::awaitable<void> {
        mailbox<std::unique_ptr<int>> box{co_await asio::this_coro::executor};
        REQUIRE(box.post(std::make_unique<int>(1)));
        box.close();
        CHECK_FALSE(box.post(std::make_unique<int>(3)));
        std::vector<std::unique_ptr<int>> got;
        const bool more = co_await box.next(got);
        REQUIRE(more);
        REQUIRE(got.size() == 1);
        CHECK(*got[0] == 1);
        const bool again = co_await box.next(got);
        CHECK_FALSE(again);
    });
}

TEST_CASE("mailbox: a cancelled wait ends, and the next one works", "[actor]") {
    test::run_coro([]() -> asio::awaitable<void> {
        using namespace asio::experimental::awaitable_operators;
        auto ex = co_await asio::this_coro::executor;
        mailbox<int> box{ex};
        asio::steady_timer timer{ex, 1ms};
        std::vector<int> got;
        auto first = co_await (box.next(got) || timer.async_wait(asio::use_awaitable));
        CHECK(first.index() == 1);
        REQUIRE(box.post(7));
        const bool more = co_await box.next(got);
        REQUIRE(more);
        CHECK(got == std::vector{7});
    });
}

TEST_CASE("mailbox: no command is lost when threads race with close", "[actor][mt]") {
    for (int round = 0; round < 20; ++round) {
        asio::thread_pool pool{4};
        auto strand = asio::make_strand(pool);
        mailbox<int> box{strand};
        std::atomic<int> accepted{0};
        auto received = asio::co_spawn(
            strand,
            [&]() -> asio::awaitable<int> {
                int n = 0;
                std::vector<int> got;
                while (co_await box.next(got)) n += static_cast<int>(got.size());
                co_return n;
            },
            asio::use_future);
        for (int t = 0; t < 3; ++t) {
            asio::post(pool, [&] {
                for (int i = 0; i < 500; ++i) accepted += box.post(i) ? 1 : 0;
            });
        }
        asio::post(pool, [&] { box.close(); });
        pool.join();
        CHECK(received.get() == accepted);
    }
}
