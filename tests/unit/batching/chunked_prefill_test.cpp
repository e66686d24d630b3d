#include "support/engine_world.hpp"
#include "support/run_coro.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

using namespace truffula;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using test::calls;
using test::collect;
using test::engine_world;
using test::has;

namespace {

/// An engine over shards that compute prompts in parts of at most 10 tokens.
struct chunked_world : engine_world {
    explicit chunked_world(asio::any_io_executor e) : engine_world(std::move(e)) {
        model.chunked_prefill = true;
        settings.max_batch_prefill_tokens = 10;
    }

    std::unique_ptr<inference::token_stream> ask(std::uint32_t max_new, std::uint32_t input) {
        return submit(max_new, "", true, input);
    }
};

}  // namespace

TEST_CASE("chunks: a long prompt is cut, and its first token comes later", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        chunked_world w{co_await asio::this_coro::executor};
        w.start();
        w.script->parts = 2;
        w.script->tells_parts = GENERATE(true, false);
        auto got = co_await collect(w.ask(2, 25));
        CHECK(got.finished);
        CHECK(got.text == " t0.0 t0.1");
        CHECK(w.script->calls == calls{"prefill 0:0/10", "decode 0", "decode 0", "decode 0"});
        CHECK(w.observer.errors.empty());
    });
}

TEST_CASE("chunks: newcomers share the next step, whatever the ratio says", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        chunked_world w{co_await asio::this_coro::executor};
        w.settings.joining.waiting_served_ratio = 5.0F;
        w.script->current_tokens = 4;
        w.script->parts = 1;
        w.start();
        auto a = w.ask(5, 3);
        w.submit_later(1, 7);
        auto x = co_await collect(std::move(a));
        auto y = co_await collect(std::move(w.late));
        CHECK(x.text == " t0.0 t0.1 t0.2 t0.3 t0.4");
        CHECK(y.finished);
        // 10 less what runs: 6 of its 7 tokens.
        CHECK(
            w.script->calls == calls{
                                   "prefill 0:0",
                                   "decode 0",
                                   "prefill 0+1:1/6",
                                   "decode 0",
                                   "filter 0:0",
                                   "decode 0"});
        CHECK(w.observer.joins.back() == batching::join_reason::chunking);
    });
}

TEST_CASE("chunks: nothing joins while prompts take the whole budget", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        chunked_world w{co_await asio::this_coro::executor};
        w.script->current_tokens = 10;
        w.start();
        auto a = w.ask(4, 3);
        w.submit_later(1, 7);
        auto x = co_await collect(std::move(a));
        auto y = co_await collect(std::move(w.late));
        CHECK(x.finished);
        CHECK(y.finished);
        CHECK(has(w.script->calls, "prefill 1:1"));  // alone, when the first had ended
    });
}

TEST_CASE("chunks: an adapter leaves while the whole budget is taken", "[batching][adapter]") {
    test::run_coro([]() -> asio::awaitable<void> {
        chunked_world w{co_await asio::this_coro::executor};
        w.settings.scheduling.adapters.max_active_adapters = 1;
        w.script->step = 1ms;
        w.script->alter_step = [&](test::wire::DecodeResponse& answer) {
            for (const auto& g : answer.generations()) {
                const bool has_ended = g.request_id() == 0 && g.has_generated_text();
                if (has_ended) w.script->current_tokens = 10;  // from now on nobody joins
            }
        };
        w.start();
        auto first = w.submit(2, "a");
        auto base = w.ask(200, 3);
        co_await collect(std::move(first));
        auto next = w.submit(1, "b");
        co_await collect(std::move(base));
        co_await collect(std::move(next));
        const auto& c = w.script->calls;
        const auto loaded = std::ranges::find(c, "load b");
        CHECK(std::ranges::count(loaded, c.end(), "decode 0") > 0);
    });
}

TEST_CASE("chunks: what joins is chosen again when the step took more than before", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        chunked_world w{co_await asio::this_coro::executor};
        w.script->current_tokens = 1;
        w.start();
        auto a = w.ask(4, 3);
        w.submit_later(1, 9);
        int steps = 0;
        w.script->alter_step = [&](auto&) {
            if (++steps == 2) w.script->current_tokens = 8;  // known only with this answer
        };
        auto x = co_await collect(std::move(a));
        auto y = co_await collect(std::move(w.late));
        CHECK(x.finished);
        CHECK(y.finished);
        CHECK(has(w.script->calls, "prefill 0+1:1/2"));
    });
}

TEST_CASE("chunks: all may end in a shared step, and nothing is decoded then", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        chunked_world w{co_await asio::this_coro::executor};
        w.start();
        auto a = w.ask(3, 3);
        w.submit_later(1, 3);
        auto x = co_await collect(std::move(a));
        auto y = co_await collect(std::move(w.late));
        CHECK(x.finished);
        CHECK(y.finished);
        CHECK(w.script->calls == calls{"prefill 0:0", "decode 0", "prefill 0+1:1"});
    });
}

TEST_CASE("chunks: a shared step that fails spares what the shards still have", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        chunked_world w{co_await asio::this_coro::executor};
        w.script->poisoned = {1};
        w.script->keeps_failed_batch = GENERATE(true, false);
        w.start();
        auto a = w.ask(6, 3);
        std::unique_ptr<inference::token_stream> bad;
        std::unique_ptr<inference::token_stream> good;
        w.script->during_decode = [&] {
            if (bad) return;
            bad = w.ask(1, 3);
            good = w.ask(1, 3);
        };
        auto x = co_await collect(std::move(a));
        auto y = co_await collect(std::move(bad));
        auto z = co_await collect(std::move(good));
        REQUIRE(y.failure);
        CHECK(y.failure->detail == "poisoned prompt");
        CHECK(z.finished);
        const calls begin{w.script->calls.begin(), w.script->calls.begin() + 5};
        CHECK(begin == calls{"prefill 0:0", "decode 0", "prefill 0+1:1,2", "clear 1", "decode 0"});
        CHECK(has(w.script->calls, "prefill 2:1"));  // each alone, beside what runs
        CHECK(has(w.script->calls, "prefill 3:2"));
        if (w.script->keeps_failed_batch) {
            CHECK(x.text == " t0.0 t0.1 t0.2 t0.3 t0.4 t0.5");
        } else {
            REQUIRE(x.failure);
            CHECK(x.failure->detail == "Batch ID not found in cache.");
        }
    });
}

TEST_CASE("chunks: shards that never come to the first token are not waited for", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        chunked_world w{co_await asio::this_coro::executor};
        w.script->parts = 1'000'000;
        w.script->tells_parts = GENERATE(true, false);
        w.start();
        auto got = co_await collect(w.ask(2, 25));
        REQUIRE(got.failure);
        CHECK(got.failure->code == errc::protocol);
        CHECK(w.observer.errors["too_many_steps"] == 1);
        CHECK(w.script->calls.size() <= 27);
    });
}

TEST_CASE("chunks: a whole prompt without an answer breaks the protocol", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        using namespace asio::experimental::awaitable_operators;
        chunked_world w{co_await asio::this_coro::executor};
        w.script->alter_step = [](auto& r) {
            if (r.generations_size() > 1) r.mutable_generations()->DeleteSubrange(0, 1);
        };
        w.start();
        auto a = w.ask(3, 3);
        auto b = w.ask(3, 3);
        auto [x, y] = co_await (collect(std::move(a)) && collect(std::move(b)));
        CHECK(x.failure);
        CHECK(y.finished);
        CHECK(w.observer.errors["not_answered"] == 1);
    });
}

TEST_CASE(
    "engine: shards lost in a joining prefill cost no one who has seen nothing", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.model.chunked_prefill = GENERATE(true, false);
        w.start();
        auto whole = w.submit(4, "", false);
        auto streamed = w.submit(4);
        std::unique_ptr<inference::token_stream> late;
        w.script->during_decode = [&] {
            if (late) return;
            late = w.submit(2);
            w.script->fail_prefill = {{errc::connection, "reset"}};
        };
        auto x = co_await collect(std::move(whole));
        auto y = co_await collect(std::move(streamed));
        auto z = co_await collect(std::move(late));
        CHECK(x.finished);
        CHECK(x.restarts == 1);
        REQUIRE(y.failure);
        CHECK(y.failure->code == errc::connection);
        CHECK(z.finished);
    });
}
