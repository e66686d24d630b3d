// Who comes while the shards compute, or while a joining batch waits for its Prefill.
#include "support/engine_world.hpp"
#include "support/run_coro.hpp"

#include <boost/asio/steady_timer.hpp>

using namespace truffula;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using test::collect;
using test::engine_world;

TEST_CASE("engine: who comes while the shards compute joins after that step", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.script->step = 250ms;  // long enough on a machine that is busy with other things
        w.start();
        auto a = w.submit(10);
        std::unique_ptr<inference::token_stream> b;
        asio::steady_timer soon{w.ex};
        w.script->during_decode = [&] {
            if (w.script->step == 0ms) return;
            w.script->step = 0ms;
            soon.expires_after(1ms);  // the choice for this step has been made by then
            soon.async_wait([&](auto) { b = w.submit(1); });
        };
        auto x = co_await collect(std::move(a));
        CHECK(x.finished);
        const auto& c = w.script->calls;
        REQUIRE(c.size() > 3);
        CHECK(c[1] == "decode 0");
        CHECK(c[2] == "prefill 1:1");
    });
}

TEST_CASE("engine: who comes after a joining batch was chosen goes with it", "[batching]") {
    struct budgets {
        std::uint32_t prefill;
        std::uint32_t total;
        const char* joined;
    };
    // The running request takes 13 tokens in all, each of the two that join 4, 3 of them in
    // Prefill.
    const auto given = GENERATE(
        budgets{1000, 4000, "prefill 1:1,2"},
        budgets{6, 4000, "prefill 1:1,2"},
        budgets{5, 4000, "prefill 1:1"},
        budgets{1000, 21, "prefill 1:1,2"},
        budgets{1000, 20, "prefill 1:1"});
    test::run_coro([given]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.settings.max_batch_prefill_tokens = given.prefill;
        w.settings.total_budget =
            [total = given.total](const shard::started_group&) -> result<std::uint32_t> {
            return total;
        };
        w.script->step = 250ms;  // long enough on a machine that is busy with other things
        w.start();
        auto a = w.submit(10);
        std::unique_ptr<inference::token_stream> b;
        std::unique_ptr<inference::token_stream> c;
        asio::steady_timer soon{w.ex};
        w.script->during_decode = [&] {
            if (w.script->step == 0ms) return;
            w.script->step = 0ms;
            b = w.submit(1);
            soon.expires_after(1ms);  // `b` has been chosen by then
            soon.async_wait([&](auto) { c = w.submit(1); });
        };
        auto x = co_await collect(std::move(a));
        CHECK(x.finished);
        const auto& made = w.script->calls;
        REQUIRE(made.size() > 3);
        CHECK(made[1] == "decode 0");
        CHECK(made[2] == given.joined);
    });
}
