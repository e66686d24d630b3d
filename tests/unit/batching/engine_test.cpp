#include "truffula/batching/engine.hpp"

#include "support/engine_world.hpp"
#include "support/run_coro.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>

using namespace truffula;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using test::calls;
using test::collect;
using test::collected;
using test::engine_world;
using test::has;
using test::until;

namespace {

asio::awaitable<result<shard::started_group>> unreachable() {
    co_return error{errc::connection, "nobody is there"};
}

}  // namespace

TEST_CASE("engine: a request runs from prefill to its last token", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.start();
        auto got = co_await collect(w.submit(3));
        CHECK(got.finished);
        CHECK(got.text == " t0.0 t0.1 t0.2");
        CHECK(w.script->calls == calls{"prefill 0:0", "decode 0", "decode 0"});
        co_await until([&] { return w.permits.in_use() == 0; });
    });
}

TEST_CASE("engine: ended requests are filtered out before the next decode", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        using namespace asio::experimental::awaitable_operators;
        engine_world w{co_await asio::this_coro::executor};
        w.start();
        auto a = w.submit(1);
        auto b = w.submit(2);
        auto [x, y] = co_await (collect(std::move(a)) && collect(std::move(b)));
        CHECK(x.finished);
        CHECK(y.text == " t1.0 t1.1");
        CHECK(w.script->calls == calls{"prefill 0:0,1", "filter 0:1", "decode 0"});
    });
}

TEST_CASE("engine: a newcomer joins the running batch", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        using namespace asio::experimental::awaitable_operators;
        engine_world w{co_await asio::this_coro::executor};
        w.start();
        auto a = w.submit(4);
        w.submit_later(1);
        auto x = co_await collect(std::move(a));
        auto y = co_await collect(std::move(w.late));
        CHECK(x.finished);
        CHECK(y.finished);
        CHECK(has(w.script->calls, "prefill 1:1"));
    });
}

TEST_CASE("engine: newcomers wait for the ratio until max_waiting_tokens", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.settings.joining.waiting_served_ratio = 2.0F;
        w.settings.joining.max_waiting_tokens = 3;
        w.start();
        auto a = w.submit(10);
        w.submit_later(1);
        auto x = co_await collect(std::move(a));
        CHECK(x.finished);
        const auto& c = w.script->calls;
        REQUIRE(c.size() > 6);
        // Decoded three times before the minimum is dropped; decided during the fourth.
        CHECK(c[4] == "decode 0");
        CHECK(c[5] == "prefill 1:1");
    });
}

TEST_CASE("engine: one newcomer waits until it is worth the prefill's stall", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.settings.joining.waiting_served_ratio.reset();
        w.settings.joining.ttft_weight = 0;  // waiting counts nothing
        w.settings.joining.max_waiting_tokens = 4;
        w.script->step = 1ms;
        w.start();
        auto a = w.submit(10);
        w.submit_later(1);
        auto x = co_await collect(std::move(a));
        CHECK(x.finished);
        const auto& c = w.script->calls;
        REQUIRE(c.size() > 7);
        CHECK(c[5] == "decode 0");
        CHECK(c[6] == "prefill 1:1");
    });
}

TEST_CASE("engine: a failed join leaves the running batch alone", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.start();
        auto a = w.submit(5);
        w.script->poisoned = {1};
        std::unique_ptr<inference::token_stream> bad;
        std::unique_ptr<inference::token_stream> good;
        w.script->during_decode = [&] {
            if (!bad) {
                bad = w.submit(1);
                good = w.submit(1);
            }
        };
        auto x = co_await collect(std::move(a));
        auto y = co_await collect(std::move(bad));
        auto z = co_await collect(std::move(good));
        CHECK(x.text == " t0.0 t0.1 t0.2 t0.3 t0.4");
        REQUIRE(y.failure);
        CHECK(y.failure->detail == "poisoned prompt");
        CHECK(z.finished);
        CHECK(has(w.script->calls, "clear 1"));
        CHECK(has(w.script->calls, "prefill 2:1"));
        CHECK(has(w.script->calls, "prefill 3:2"));
    });
}

TEST_CASE("engine: a failed decode restarts who has seen nothing, once", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        using namespace asio::experimental::awaitable_operators;
        engine_world w{co_await asio::this_coro::executor};
        w.start();
        auto streamed = w.submit(3);
        auto whole = w.submit(3, "", false);
        w.script->fail_decode = {{}, {errc::rpc_failed, "out of memory"}};
        auto [x, y] = co_await (collect(std::move(streamed)) && collect(std::move(whole)));
        REQUIRE(x.failure);
        CHECK(x.failure->detail == "out of memory");
        CHECK(y.finished);
        CHECK(y.restarts == 1);
        CHECK(y.text == " t1.0 t1.1 t1.2");
        CHECK(w.observer.requeues == 1);
        CHECK(has(w.script->calls, "clear 0"));

        w.script->fail_decode = {{errc::rpc_failed, "again"}, {errc::rpc_failed, "and again"}};
        auto z = co_await collect(w.submit(3, "", false));
        REQUIRE(z.failure);
        CHECK(z.failure->detail == "and again");
    });
}

TEST_CASE("engine: lost shards are connected anew and their requests go on", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.start();
        w.script->fail_decode = {{errc::connection, "reset"}};
        auto got = co_await collect(w.submit(3, "a", false));
        CHECK(got.finished);
        CHECK(has(w.script->calls, "connect"));
        const auto& c = w.script->calls;
        CHECK(std::count(c.begin(), c.end(), "load a") == 2);
        CHECK(w.observer.connections == std::vector{true, false, true});
    });
}

TEST_CASE("engine: a prefill that finds the shards gone costs nobody the request", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.start();
        w.script->fail_prefill = {{errc::connection, "reset"}};
        auto got = co_await collect(w.submit(2));
        CHECK(got.finished);
        CHECK(got.text == " t0.0 t0.1");
    });
}

TEST_CASE("engine: who left a prefill that lost the shards is not queued again", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.settings.connect = unreachable;
        w.start();
        w.script->step = 20ms;
        w.script->fail_prefill = {{errc::connection, "reset"}};
        auto stream = w.submit(2);
        co_await until([&] { return has(w.script->calls, "prefill 0:0"); });
        stream.reset();
        co_await until([&] { return w.permits.in_use() == 0; });
    });
}

TEST_CASE("engine: adapters are downloaded, loaded, then used", "[batching][adapter]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.start();
        auto got = co_await collect(w.submit(1, "a"));
        CHECK(got.finished);
        CHECK(w.script->calls == calls{"download a", "load a", "prefill 0:0"});
        w.script->failing_downloads["b"] = "no such adapter";
        auto bad = co_await collect(w.submit(1, "b"));
        REQUIRE(bad.failure);
        CHECK(bad.failure->detail == "no such adapter");
    });
}

TEST_CASE("engine: one adapter call goes beside a Prefill, too", "[batching][adapter]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.script->step = 20ms;
        w.start();
        auto base = w.submit(2);
        std::vector<std::unique_ptr<inference::token_stream>> others;
        for (const auto* name : {"a", "b", "c"}) others.push_back(w.submit(1, name));
        co_await collect(std::move(base));
        const auto& c = w.script->calls;
        const auto prefill = std::ranges::find(c, "prefill 0:0");
        const auto decode = std::ranges::find(c, "decode 0");
        REQUIRE(prefill < decode);
        CHECK(decode - prefill <= 2);
        for (auto& o : others) {
            const auto got = co_await collect(std::move(o));
            CHECK(got.finished);
        }
    });
}

TEST_CASE("engine: a client that leaves frees its place within two steps", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.start();
        auto stays = w.submit(50);
        auto leaves = w.submit(50);
        w.script->step = 1ms;
        auto first = co_await leaves->next();
        REQUIRE(first);
        const auto before = w.script->calls.size();
        leaves.reset();
        co_await until([&] { return w.permits.in_use() == 1; });
        const auto after = w.script->calls.size();
        CHECK(has(w.script->calls, "filter 0:0"));
        CHECK(after - before <= 4);  // two decodes, a filter, and one under way
        auto got = co_await collect(std::move(stays));
        CHECK(got.finished);
    });
}

TEST_CASE("engine: who leaves after the filter keeps its place until the next one", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.script->step = 250ms;
        w.start();
        auto ends = w.submit(2);
        auto leaves = w.submit(50);
        auto stays = w.submit(50);
        co_await until([&] { return has(w.script->calls, "filter 0:1,2"); });
        leaves.reset();
        const auto filtered = w.script->calls.size();
        co_await until([&] { return w.script->calls.size() > filtered; });
        CHECK(w.script->calls.back() == "decode 0");
        asio::steady_timer soon{w.ex, 20ms};  // the tokens before it have been delivered by then
        co_await soon.async_wait(asio::use_awaitable);
        CHECK(w.permits.in_use() == 2);  // the shards still compute it
        w.script->step = 0ms;
        co_await until([&] { return w.permits.in_use() == 1; });
        CHECK(has(w.script->calls, "filter 0:2"));
        stays.reset();
        co_await until([&] { return w.permits.in_use() == 0; });
    });
}

TEST_CASE("engine: answers that break the protocol end their own request", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        using namespace asio::experimental::awaitable_operators;
        engine_world w{co_await asio::this_coro::executor};
        w.start();
        auto a = w.submit(3);
        auto b = w.submit(3);
        std::string kind;
        SECTION("an unknown id") {
            kind = "unknown_request";
            w.script->alter_step = [](auto& r) { r.add_generations()->set_request_id(77); };
        }
        SECTION("one answered twice") {
            kind = "answered_twice";
            w.script->alter_step = [](auto& r) {
                if (r.generations_size() < 2) return;
                const auto again = r.generations(0);
                *r.add_generations() = again;
            };
        }
        SECTION("one not answered") {
            kind = "not_answered";
            w.script->alter_step = [](auto& r) {
                if (r.generations_size() > 1) r.mutable_generations()->DeleteSubrange(0, 1);
            };
        }
        auto [x, y] = co_await (collect(std::move(a)) && collect(std::move(b)));
        CHECK(w.observer.errors[kind] > 0);
        CHECK(y.finished);
        CHECK(x.finished == (kind == "unknown_request"));
    });
}

TEST_CASE("engine: an answer without its batch loses the batch, not the process", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.start();
        int left = 1;
        w.script->alter_step = [&left](auto& r) {
            if (left-- > 0) r.clear_batch();
        };
        auto got = co_await collect(w.submit(3, "", false));
        CHECK(got.finished);
        CHECK(w.observer.errors["no_batch"] == 1);
    });
}

TEST_CASE("engine: health asks with a dummy until a request has succeeded", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.start();
        auto first = co_await w.engine->health();
        CHECK(first);
        CHECK(w.script->calls == calls{"health_prefill"});
        auto second = co_await w.engine->health();
        CHECK(second);
        CHECK(w.script->calls == calls{"health_prefill", "health"});
        w.script->healthy = false;
        auto third = co_await w.engine->health();
        REQUIRE(third.has_error());
        CHECK(third.error().code == errc::unhealthy);
    });
}

TEST_CASE("engine: stop answers what waits and what runs, and refuses the rest", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        using namespace asio::experimental::awaitable_operators;
        engine_world w{co_await asio::this_coro::executor};
        w.settings.scheduling.max_batch_size = 1;
        w.start();
        w.script->step = 1ms;
        auto runs = w.submit(1000);
        auto waits = w.submit(1);
        auto first = co_await runs->next();
        REQUIRE(first);
        w.engine->stop();
        auto [x, y] = co_await (collect(std::move(runs)) && collect(std::move(waits)));
        REQUIRE(x.failure);
        CHECK(x.failure->code == errc::shutting_down);
        REQUIRE(y.failure);
        co_await until([&] { return w.permits.in_use() == 0; });
        auto what = std::make_shared<inference::request>();
        auto late = w.engine->submit({}, what, std::move(*w.permits.try_acquire()), 0);
        CHECK(late.has_error());
    });
}

TEST_CASE("engine: a stop in a Prefill says so to those in it", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.script->step = 1h;  // given up by the stop
        w.start();
        auto runs = w.submit(2);
        co_await until([&] { return has(w.script->calls, "prefill 0:0"); });
        w.engine->stop();
        const auto got = co_await collect(std::move(runs));
        REQUIRE(got.failure);
        CHECK(describe(got.failure->code).wire_name == "shutting_down");
    });
}
