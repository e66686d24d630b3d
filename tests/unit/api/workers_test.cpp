#include "truffula/api/workers.hpp"

#include "support/run_coro.hpp"

#include <boost/asio/detached.hpp>

#include <future>

using namespace truffula;

TEST_CASE("workers: a stop waits for work, and drops the rest before its callers go", "[api]") {
    api::workers some{1};
    std::promise<void> begun;
    std::promise<void> may_end;
    bool has_ended = false;
    {
        asio::io_context callers;
        const auto ask = [&](std::function<result<int>()> work) -> asio::awaitable<void> {
            (void)co_await some.run(std::move(work));
        };
        asio::co_spawn(
            callers,
            ask([&]() -> result<int> {
                begun.set_value();
                may_end.get_future().wait();
                has_ended = true;
                return 1;
            }),
            asio::detached);
        asio::co_spawn(callers, ask([]() -> result<int> { return 2; }), asio::detached);
        callers.poll();
        begun.get_future().wait();
        may_end.set_value();
        some.stop();
        CHECK(has_ended);
    }
    test::run_coro([&]() -> asio::awaitable<void> {
        std::function<result<int>()> late = []() -> result<int> { return 3; };
        const auto got = co_await some.run(std::move(late));
        REQUIRE(got.has_error());
        CHECK(got.error().code == errc::stopped);
    });
}
