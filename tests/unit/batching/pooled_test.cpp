#include "support/engine_world.hpp"
#include "support/run_coro.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <catch2/catch.hpp>

#include <algorithm>

using namespace truffula;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using calls = std::vector<std::string>;
using inference::task;
using test::collect;
using test::engine_world;

namespace {

std::size_t count(const calls& made, const std::string& word) {
    return static_cast<std::size_t>(std::count_if(
        made.begin(), made.end(), [&](const auto& c) { return c.starts_with(word); }));
}

}  // namespace

TEST_CASE("engine: Embed and Classify answer each request", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.start();
        auto first = w.submit_pooled(task::embed);
        auto second = w.submit_pooled(task::classify);
        auto third = w.submit_pooled(task::embed);
        auto a = co_await collect(std::move(first));
        auto b = co_await collect(std::move(second));
        auto c = co_await collect(std::move(third));
        REQUIRE((a.pooled && b.pooled && c.pooled));
        CHECK(a.pooled->embedding == std::vector<float>{0});
        CHECK(b.pooled->labels == std::vector<std::string>{"1"});
        CHECK(c.pooled->embedding == std::vector<float>{2});
        CHECK(w.script->calls == calls{"embed 0:0,2", "classify 1:1"});
        CHECK(w.permits.in_use() == 0);
    });
}

TEST_CASE("engine: they go between steps and leave the running batch alone", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.start();
        std::vector<std::unique_ptr<inference::token_stream>> waiting;
        w.script->during_decode = [&] {
            if (waiting.empty()) waiting.push_back(w.submit_pooled(task::embed));
        };
        auto running = co_await collect(w.submit(4));
        CHECK(running.finished);
        auto embedded = co_await collect(std::move(waiting.front()));
        CHECK(embedded.pooled);
        CHECK(
            w.script->calls ==
            calls{"prefill 0:0", "decode 0", "embed 1:1", "decode 0", "decode 0"});
    });
}

TEST_CASE("engine: neither kind of work starves the other", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.settings.max_batch_prefill_tokens = 3;  // one request a call
        w.start();
        // More of both than one batch holds, all the time.
        std::vector<std::unique_ptr<inference::token_stream>> pooled;
        for (int i = 0; i < 10; ++i) {
            pooled.push_back(w.submit_pooled(i % 2 == 0 ? task::embed : task::classify));
        }
        SECTION("beside a long generation") {
            auto got = co_await collect(w.submit(30));
            CHECK(got.finished);
        }
        SECTION("beside generations that end with their prefill") {
            std::vector<std::unique_ptr<inference::token_stream>> short_ones;
            for (int i = 0; i < 20; ++i) short_ones.push_back(w.submit(1));
            for (auto& s : short_ones) {
                auto got = co_await collect(std::move(s));
                CHECK(got.finished);
            }
        }
        for (auto& p : pooled) {
            auto got = co_await collect(std::move(p));
            CHECK(got.pooled);
        }
        int in_a_row = 0;
        for (const auto& c : w.script->calls) {
            const bool generates = c.starts_with("prefill") || c.starts_with("decode");
            in_a_row = generates ? 0 : in_a_row + 1;
            if (count(w.script->calls, "prefill") == 20 && &c == &w.script->calls.back()) break;
            CHECK(in_a_row <= 2);  // the idle loop's one, and one before the first step
        }
        const auto last_pooled =
            std::find_if(w.script->calls.rbegin(), w.script->calls.rend(), [](const auto& c) {
                return c.starts_with("embed") || c.starts_with("classify");
            });
        // Ten calls with one generating call between each: they were over long before the rest.
        CHECK(std::distance(last_pooled, w.script->calls.rend()) <= 24);
    });
}

TEST_CASE("engine: a failing Embed fails only its offender", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.start();
        w.script->poisoned = {1};
        auto running = w.submit(5);
        auto bad = w.submit_pooled(task::embed);
        auto good = w.submit_pooled(task::embed);
        auto b = co_await collect(std::move(bad));
        auto g = co_await collect(std::move(good));
        auto r = co_await collect(std::move(running));
        REQUIRE(b.failure);
        CHECK(b.failure->code == errc::rpc_failed);
        CHECK(b.failure->detail == "poisoned prompt");
        CHECK(g.pooled);
        CHECK(r.finished);
        CHECK(r.restarts == 0);
        CHECK(count(w.script->calls, "embed") == 3);
        CHECK(w.permits.in_use() == 0);
    });
}

TEST_CASE("engine: answers that break the protocol have an outcome", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.start();
        SECTION("a request that was not answered") {
            w.script->alter_pooled = [](auto& all) { all.erase(all.begin()); };
            auto first = w.submit_pooled(task::embed);
            auto second = w.submit_pooled(task::embed);
            auto a = co_await collect(std::move(first));
            auto b = co_await collect(std::move(second));
            REQUIRE(a.failure);
            CHECK(a.failure->code == errc::protocol);
            CHECK(b.pooled);
            CHECK(w.observer.errors["not_answered"] == 1);
        }
        SECTION("an answer to nobody's request, and one twice") {
            w.script->alter_pooled = [](auto& all) {
                all.push_back(all.front());
                all.push_back(all.front());
                all.back().request_id = 99;
            };
            auto a = co_await collect(w.submit_pooled(task::classify));
            CHECK(a.pooled);
            CHECK(w.observer.errors["unknown_request"] == 2);
        }
        SECTION("an answer that is an error") {
            w.script->alter_pooled = [](auto& all) {
                all.front().answer = error{errc::protocol, "not finite"};
            };
            auto a = co_await collect(w.submit_pooled(task::embed));
            REQUIRE(a.failure);
            CHECK(a.failure->detail == "not finite");
            CHECK(w.observer.errors["bad_answer"] == 1);
        }
    });
}

TEST_CASE("engine: shards lost in an Embed cost no request that can start over", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.start();
        w.script->fail_pooled = {{errc::connection, "gone"}};
        std::vector<std::unique_ptr<inference::token_stream>> waiting;
        w.script->during_decode = [&] {
            if (waiting.empty()) waiting.push_back(w.submit_pooled(task::embed));
        };
        auto running = co_await collect(w.submit(6, "", false));
        CHECK(running.finished);
        CHECK(running.restarts == 1);
        auto embedded = co_await collect(std::move(waiting.front()));
        CHECK(embedded.pooled);
        CHECK(count(w.script->calls, "connect") == 1);
        CHECK(w.observer.requeues == 1);
    });
}

TEST_CASE("engine: a client that leaves an Embed is forgotten", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.start();
        std::unique_ptr<inference::token_stream> leaver;
        SECTION("while it waits") {
            leaver = w.submit_pooled(task::embed);
            leaver.reset();
        }
        SECTION("while the shards compute") {
            w.script->during_pooled = [&] { leaver.reset(); };
            leaver = w.submit_pooled(task::embed);
        }
        auto other = co_await collect(w.submit_pooled(task::embed));
        CHECK(other.pooled);
        co_await test::until([&] { return w.permits.in_use() == 0; });
    });
}

TEST_CASE("engine: they are answered when the router stops", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.script->step = 1h;  // given up by the stop
        w.start();
        auto computed = w.submit_pooled(task::embed);
        bool is_under_way = false;
        w.script->during_pooled = [&] { is_under_way = true; };
        co_await test::until([&] { return is_under_way; });
        auto waits = w.submit_pooled(task::embed);
        w.engine->stop();
        auto a = co_await collect(std::move(computed));
        auto b = co_await collect(std::move(waits));
        REQUIRE((a.failure && b.failure));
        CHECK(describe(a.failure->code).wire_name == "shutting_down");
        CHECK(describe(b.failure->code).wire_name == "shutting_down");
        CHECK(w.permits.in_use() == 0);
    });
}

TEST_CASE("engine: health asks for all that the model does", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.model.supports_embeddings = true;
        w.model.supports_classification = true;
        SECTION("all three") {
            w.start();
            auto fine = co_await w.engine->health();
            CHECK(fine);
            CHECK(w.script->calls == calls{"health_prefill", "health_classify", "health_embed"});
        }
        SECTION("a model that does not generate") {
            w.model.supports_generation = false;
            w.start();
            auto fine = co_await w.engine->health();
            CHECK(fine);
            CHECK(w.script->calls == calls{"health_classify", "health_embed"});
        }
        SECTION("a good Embed is proof enough") {
            w.start();
            auto got = co_await collect(w.submit_pooled(task::embed));
            CHECK(got.pooled);
            auto fine = co_await w.engine->health();
            CHECK(fine);
            CHECK(w.script->calls.back() == "health");
        }
    });
}
