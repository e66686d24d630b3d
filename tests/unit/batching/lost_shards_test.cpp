// What becomes of calls beside the steps, and of who asks for health, when the shards are lost.
#include "support/engine_world.hpp"
#include "support/run_coro.hpp"
#include "truffula/batching/engine.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <algorithm>
#include <span>

using namespace truffula;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using test::collect;
using test::engine_world;
using test::has;
using test::until;

namespace {

/// Shards that do not answer: who waits is told that its time is over once the timer ends.
struct silence {
    explicit silence(const asio::any_io_executor& ex) : timer(ex, 1h) {}

    template <class T>
    static asio::awaitable<result<T>> answer(std::shared_ptr<silence> s) {
        co_await s->timer.async_wait(asio::as_tuple(asio::use_awaitable));
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) {
            co_return error{errc::cancelled, "the call was given up"};
        }
        co_return error{errc::deadline_exceeded, "the shard did not answer in time"};
    }

    asio::steady_timer timer;
};

asio::awaitable<void> ask_health(
    std::shared_ptr<batching::engine> engine, std::shared_ptr<std::optional<result<>>> to) {
    auto answer = co_await engine->health();
    *to = std::move(answer);
}

asio::awaitable<result<shard::started_group>> never() {
    asio::steady_timer timer{co_await asio::this_coro::executor, 1h};
    co_await timer.async_wait(asio::use_awaitable);
    co_return error{errc::connection, "nobody is there"};
}

asio::awaitable<result<shard::started_group>> connect_later(engine_world* w) {
    asio::steady_timer timer{w->ex, 5ms};
    co_await timer.async_wait(asio::use_awaitable);
    co_return w->group();
}

std::shared_ptr<std::optional<result<>>> spawn_health(const engine_world& w) {
    auto answer = std::make_shared<std::optional<result<>>>();
    asio::co_spawn(w.ex, ask_health(w.engine, answer), asio::detached);
    return answer;
}

}  // namespace

TEST_CASE("engine: what the lost shards still owe says nothing of the new ones", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.start();
        const auto works = co_await collect(w.submit(1));
        REQUIRE(works.finished);
        auto hung = std::make_shared<silence>(w.ex);
        w.script->answer_health = [hung] { return silence::answer<void>(hung); };
        const auto health = spawn_health(w);
        co_await until([&] { return has(w.script->calls, "health"); });
        w.script->fail_decode = {{errc::deadline_exceeded, "the shard did not answer in time"}};
        const auto again = co_await collect(w.submit(3, "", false));
        CHECK(again.finished);
        co_await until([&] { return health->has_value(); });  // by the loss, not by its own time
        CHECK((*health)->has_error());
        hung->timer.cancel();
        const auto last = co_await collect(w.submit(3));
        CHECK(last.finished);
        CHECK(w.observer.connections == std::vector{true, false, true});
    });
}

TEST_CASE("engine: an adapter call that was lost is made again", "[batching][adapter]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.settings.connect = [&w] { return connect_later(&w); };
        w.start();
        auto hung = std::make_shared<silence>(w.ex);
        w.script->answer_download = [hung] { return silence::answer<std::uint32_t>(hung); };
        auto waits = w.submit(1, "a");
        co_await until([&] { return has(w.script->calls, "download a"); });
        w.script->answer_download = nullptr;
        w.script->fail_decode = {{errc::connection, "reset"}};
        const auto base = co_await collect(w.submit(3, "", false));
        CHECK(base.finished);
        const auto served = co_await collect(std::move(waits));
        CHECK(served.finished);
        CHECK(std::ranges::count(w.script->calls, "download a") == 2);
    });
}

TEST_CASE("engine: who asks for health does not wait for lost shards", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.settings.connect = never;
        w.script->step = 20ms;
        w.script->fail_prefill = {{errc::connection, "reset"}};
        w.start();
        auto lost = w.submit(2);
        co_await until([&] { return has(w.script->calls, "prefill 0:0"); });
        const auto health = spawn_health(w);  // nothing has succeeded yet: the loop is to see to it
        co_await until([&] { return health->has_value(); });
        CHECK((*health)->has_error());
        CHECK(w.observer.connections == std::vector{true, false});
    });
}

TEST_CASE("engine: shards that come back may still hold what they held", "[batching][adapter]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.start();
        w.script->fail_decode = {{errc::connection, "reset"}};
        const auto got = co_await collect(w.submit(3, "a", false));
        CHECK(got.finished);
        const test::calls before{"download a", "load a", "prefill 0:0", "decode 0", "connect"};
        const test::calls after{"download a", "offload a", "load a", "prefill 1:0"};
        const auto& c = w.script->calls;
        REQUIRE(c.size() > before.size() + after.size());
        CHECK(std::ranges::equal(before, std::span{c}.first(before.size())));
        CHECK(std::ranges::equal(after, std::span{c}.subspan(before.size(), after.size())));
    });
}
