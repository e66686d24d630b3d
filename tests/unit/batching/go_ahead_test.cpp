// Steps that are followed by another one: sent where the answer arrives, unless something waits.
#include "support/engine_world.hpp"
#include "support/run_coro.hpp"
#include "truffula/actor/spawn.hpp"

#include <boost/asio/co_spawn.hpp>

#include <algorithm>
#include <utility>

using namespace truffula;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using test::calls;
using test::collect;
using test::engine_world;
using test::has;
using test::until;

namespace {

asio::awaitable<void> ask_health(std::shared_ptr<batching::engine> engine, bool& is_healthy) {
    is_healthy = (co_await engine->health()).has_value();
}

}  // namespace

TEST_CASE("engine: a step follows before the answer is looked at", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.script->tells_given = true;
        w.start();
        auto got = co_await collect(w.submit(4));
        CHECK(got.text == " t0.0 t0.1 t0.2 t0.3");
        CHECK(
            w.script->calls == calls{
                                   "prefill 0:0",
                                   "given",
                                   "decode 0",
                                   "decode 0",
                                   "given",
                                   "decode 0",
                                   "given",
                                   "given"});
    });
}

TEST_CASE("engine: no step follows by itself where another call is due", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.script->tells_given = true;
        w.script->step = 2ms;
        w.start();
        const auto follows = [&w](const std::string& call, int decodes) {
            const auto& all = w.script->calls;
            const auto at = std::find(all.begin(), all.end(), call);
            REQUIRE(at != all.end());
            const auto given = std::count(all.begin(), at, "given");
            CHECK(given == std::distance(all.begin(), at) - given);  // each call before has ended
            CHECK(std::count(all.begin(), at, "decode 0") == decodes);
        };
        SECTION("somebody came") {
            w.submit_later(2);
            auto got = co_await collect(w.submit(4));
            CHECK(got.finished);
            follows("prefill 1:1", 1);
        }
        SECTION("somebody has ended") {
            auto ends = w.submit(3);
            auto got = co_await collect(w.submit(6));
            CHECK(got.finished);
            follows("filter 0:1", 2);
        }
        SECTION("somebody has left") {
            auto leaves = w.submit(50);
            w.script->during_decode = [&leaves] { leaves.reset(); };
            auto got = co_await collect(w.submit(6));
            CHECK(got.finished);
            follows("filter 0:1", 1);
        }
        SECTION("somebody asks for the shards' health") {
            w.script->fail_prefill = {{errc::rpc_failed, "once"}};
            auto failed = co_await collect(w.submit(1));
            CHECK(failed.failure);
            bool is_healthy = false;
            // While the next Prefill is under way, after a call that failed: only the loop can
            // tell.
            w.script->alter_step = [&, is_asked = false](auto&) mutable {
                if (std::exchange(is_asked, true)) return;
                asio::co_spawn(w.ex, ask_health(w.engine, is_healthy), rethrow);
            };
            auto got = co_await collect(w.submit(6));
            CHECK(got.finished);
            CHECK(is_healthy);
        }
    });
}

TEST_CASE(
    "engine: a request that failed is dropped after the step that was under way", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.start();
        auto stays = w.submit(6);
        w.script->alter_step = [](generate::v1::DecodeResponse& answer) {
            auto& all = *answer.mutable_generations();
            for (int i = all.size() - 1; i >= 0; --i) {
                if (all[i].request_id() == 1 && all[i].next_tokens().ids(0) > 0) {
                    all.DeleteSubrange(i, 1);  // after its prefill it is never answered again
                }
            }
        };
        auto forgotten = w.submit(50);
        auto bad = co_await collect(std::move(forgotten));
        REQUIRE(bad.failure);
        CHECK(bad.failure->code == errc::protocol);
        auto good = co_await collect(std::move(stays));
        CHECK(good.text == " t0.0 t0.1 t0.2 t0.3 t0.4 t0.5");
        CHECK(w.observer.errors["not_answered"] == 1);
        CHECK(has(w.script->calls, "filter 0:0"));
        co_await until([&] { return w.permits.in_use() == 0; });
    });
}

TEST_CASE("engine: shards that are lost in a step that went ahead fail who ran", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.start();
        w.script->fail_decode = {error{}, error{}, {errc::rpc_failed, "out of memory"}};
        auto got = co_await collect(w.submit(9));
        REQUIRE(got.failure);
        CHECK(got.failure->detail == "out of memory");
        CHECK(got.text == " t0.0 t0.1 t0.2");
        co_await until([&] { return w.permits.in_use() == 0; });
    });
}

TEST_CASE("engine: a stop gives up the step that went ahead", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.start();
        auto stream = w.submit(2000);
        co_await until([&] { return w.script->calls.size() > 5; });
        w.engine->stop();
        const auto got = co_await collect(std::move(stream));
        REQUIRE(got.failure);
        CHECK(got.failure->code == errc::shutting_down);
        co_await until([&] { return w.script->under_way == 0; });
    });
}

TEST_CASE(
    "engine: shards are polled for a FilterBatch that may be answered at once", "[batching]") {
    constexpr auto limit = 60s;
    const auto body = []() -> asio::awaitable<void> {
        // A machine may sleep through a window: one of some is met.
        for (int attempt = 0, polls = 0; polls == 0; ++attempt) {
            REQUIRE(attempt < 20);
            engine_world w{co_await asio::this_coro::executor};
            w.script->step = 20ms;
            w.settings.busy_poll = 1ms;
            w.start();
            auto one = w.submit(2);
            auto other = w.submit(4);
            const auto first = co_await collect(std::move(one));
            CHECK(first.finished);
            const auto second = co_await collect(std::move(other));
            CHECK(second.finished);
            co_await until([&w] { return w.script->under_way == 0; });
            CHECK(std::ranges::count(w.script->calls, "decode 0") < 7);  // too few for a forecast
            polls = static_cast<int>(w.script->polls);
        }
    };
    test::run_coro(body, limit);
}

TEST_CASE("engine: shards are polled when their steps are regular", "[batching]") {
    constexpr auto limit = 60s;  // until a noisy machine has had a few regular steps
    const auto body = []() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.script->step = 20ms;
        SECTION("for as long as the settings say") {
            w.settings.busy_poll = 1ms;
            w.start();
            auto stream = w.submit(2900);
            co_await until([&w] { return w.script->polls > 0; });
            CHECK(std::ranges::count(w.script->calls, "decode 0") > 7);
            stream.reset();
            co_await until([&w] { return has(w.script->calls, "clear 0"); });
            co_await until([&w] { return w.script->under_way == 0; });
        }
        SECTION("never without it") {
            w.settings.busy_poll = 0ms;
            w.start();
            auto got = co_await collect(w.submit(20));
            CHECK(got.finished);
            CHECK(w.script->polls == 0);
        }
    };
    test::run_coro(body, limit);
}
