// When tokens leave the engine: after the next step was sent, unless that has to wait for others.
#include "support/engine_world.hpp"
#include "support/run_coro.hpp"

using namespace truffula;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using test::collect;
using test::engine_world;
using test::has;
using test::until;

namespace {

constexpr auto at_once = 1ms;
constexpr auto at_length = 500ms;  // what a test waits for is there long before

/// A download that ends when `is_over`.
auto download_until(const bool& is_over) {
    return [&is_over]() -> asio::awaitable<result<std::uint32_t>> {
        co_await until([&is_over] { return is_over; });
        co_return 1000U;
    };
}

/// The last call that the shards had got when the first of two requests was told of its end; until
/// then an adapter for a third may be on its way.
asio::awaitable<std::string> last_call_at_end(engine_world& w, bool& is_downloaded) {
    auto ends = w.submit(2);
    auto stays = w.submit(6);
    std::unique_ptr<inference::token_stream> third;
    if (w.script->answer_download) third = w.submit(1, "a");
    const auto got = co_await collect(std::move(ends));
    CHECK(got.text == " t0.0 t0.1");
    auto last = w.script->calls.back();
    is_downloaded = true;
    const auto other = co_await collect(std::move(stays));
    CHECK(other.text == " t1.0 t1.1 t1.2 t1.3 t1.4 t1.5");
    if (!third) co_return last;
    const auto late = co_await collect(std::move(third));
    CHECK(late.finished);
    co_return last;
}

}  // namespace

TEST_CASE("engine: tokens leave after the Decode behind a FilterBatch", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        bool is_downloaded = false;
        engine_world w{co_await asio::this_coro::executor};
        w.script->step = 20ms;
        w.script->filter = at_once;
        w.settings.busy_poll = 400us;
        SECTION("where nothing else is under way") {}
        SECTION("where adapter calls go beside it") {
            w.settings.paced_adapter_calls = false;
            w.script->answer_download = download_until(is_downloaded);
        }
        w.start();
        const auto last = co_await last_call_at_end(w, is_downloaded);
        CHECK(last == "decode 0");
    });
}

TEST_CASE("engine: tokens do not wait for a FilterBatch that has to wait", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        bool is_downloaded = false;
        engine_world w{co_await asio::this_coro::executor};
        w.script->step = 20ms;
        w.script->filter = at_length;
        w.settings.busy_poll = 400us;
        SECTION("behind an adapter call") {
            w.script->answer_download = download_until(is_downloaded);
        }
        SECTION("longer than is polled for") {
            w.settings.busy_poll = 0us;
        }
        w.start();
        const auto last = co_await last_call_at_end(w, is_downloaded);
        CHECK(last == "filter 0:1");
    });
}

TEST_CASE("engine: the last tokens do not wait until the shards have cleared", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        bool may_clear = false;
        bool has_cleared = false;
        engine_world w{co_await asio::this_coro::executor};
        w.script->alter_step = [](generate::v1::DecodeResponse& answer) {
            answer.mutable_batch()->set_id(0);  // as a shard that keeps it
        };
        w.script->before_cleared = [&]() -> asio::awaitable<void> {
            co_await until([&may_clear] { return may_clear; });
            has_cleared = true;
        };
        w.start();
        const auto got = co_await collect(w.submit(2));
        CHECK(got.text == " t0.0 t0.1");
        may_clear = true;
        co_await until([&has_cleared] { return has_cleared; });
        CHECK(has(w.script->calls, "clear 0"));
    });
}

TEST_CASE("engine: what shards still hold is free when they have dropped it", "[batching]") {
    test::run_coro([]() -> asio::awaitable<void> {
        engine_world w{co_await asio::this_coro::executor};
        w.script->step = 20ms;
        w.script->filter = at_length;
        w.start();
        auto ends = w.submit(2);
        auto leaves = w.submit(50);
        auto stays = w.submit(6);
        w.script->during_decode = [&leaves] { leaves.reset(); };
        const auto got = co_await collect(std::move(ends));
        CHECK(got.finished);
        CHECK(w.script->calls.back() == "filter 0:2");
        CHECK(w.permits.in_use() == 2);  // who has its answer may ask again
        co_await until([&w] { return w.permits.in_use() == 1; });
        CHECK(w.script->calls.back() == "decode 0");
        const auto other = co_await collect(std::move(stays));
        CHECK(other.finished);
    });
}
