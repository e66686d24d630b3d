// The way of tokens from the engine to a client's thread: order, restarts, slow readers, leaving.
#include "batching/stream_core.hpp"

#include "generate.pb.h"
#include "support/run_coro.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace truffula;
using namespace truffula::batching;
namespace asio = boost::asio;
namespace wire = generate::v1;

namespace {

std::string generation(const std::string& text, bool is_last = false) {
    wire::Generation g;
    auto& tokens = *g.mutable_next_tokens();
    tokens.add_ids(1);
    tokens.add_logprobs(-0.5F);
    tokens.add_texts(text);
    tokens.add_is_special(false);
    if (is_last) g.mutable_generated_text()->set_generated_tokens(1);
    return g.SerializeAsString();
}

/// One lane and its streams, all on the test's thread.
struct lane_world {
    explicit lane_world(std::size_t max_stream = 1000, std::size_t max_lane = 1U << 20U)
        : max_stream_bytes(max_stream),
          lane(std::make_shared<delivery_lane>(
              0,
              ctx.get_executor(),
              max_lane,
              lane_events{[this] { ++drained; }, [this] { ++bad; }})) {}

    std::shared_ptr<stream_core> make(scheduler::request_id id = 1) {
        return std::make_shared<stream_core>(
            id, lane, max_stream_bytes, [this](auto gone) { cancelled.push_back(gone); });
    }

    void deliver(const std::shared_ptr<stream_core>& to, std::string bytes) {
        delivery d;
        d.buffers.push_back(std::make_shared<const std::string>(std::move(bytes)));
        d.bytes = d.buffers.back()->size();
        d.spans.push_back({to, *d.buffers.back(), {}});
        lane->post(std::move(d));
    }

    void drain() {
        ctx.restart();
        ctx.run();
    }

    /// Texts that are ready now; `|` for a restart.
    static std::string ready(stream_core& from) {
        std::string text;
        while (auto step = from.poll()) {
            if (step->restarted) text += '|';
            for (const auto& t : step->tokens) text += t.text;
        }
        return text;
    }

    /// What `next` says when nothing is ready: an end, or an error.
    result<std::optional<inference::step>> next(const std::shared_ptr<stream_core>& from) {
        result<std::optional<inference::step>> out = error{};
        bool has_come = false;
        asio::co_spawn(
            ctx,
            [&]() -> asio::awaitable<void> {
                out = co_await from->next();
                has_come = true;
            },
            asio::detached);
        drain();
        REQUIRE(has_come);
        return out;
    }

    asio::io_context ctx;
    std::size_t max_stream_bytes;
    int drained = 0;
    int bad = 0;
    std::vector<scheduler::request_id> cancelled;
    std::shared_ptr<delivery_lane> lane;
};

/// What the engine tells a stream when it goes itself.
struct late_end {
    late_end(std::shared_ptr<delivery_lane> l, std::shared_ptr<stream_core> t)
        : lane(std::move(l)), to(std::move(t)) {}
    late_end(late_end&&) noexcept = default;
    late_end& operator=(late_end&&) = delete;
    ~late_end() {
        if (to) lane->post(notice{std::move(to), error{}});
    }

    std::shared_ptr<delivery_lane> lane;
    std::shared_ptr<stream_core> to;
};

}  // namespace

TEST_CASE("stream: what its thread has not taken when it ends is dropped", "[batching]") {
    auto w = std::make_unique<lane_world>();
    auto s = w->make();
    const std::weak_ptr<stream_core> seen = s;
    w->deliver(s, generation("a"));
    SECTION("and nothing comes after") {}
    SECTION("and so is what comes then") {
        asio::post(w->ctx, [end = late_end{w->lane, s}] {});
    }
    s.reset();
    CHECK_FALSE(seen.expired());
    w.reset();
    CHECK(seen.expired());
}

TEST_CASE("stream: steps come in order, and the end after the last", "[batching]") {
    lane_world w;
    const auto s = w.make();
    w.deliver(s, generation("a"));
    w.deliver(s, generation("b"));
    w.deliver(s, generation("c", true));
    w.drain();
    CHECK(lane_world::ready(*s) == "abc");
    const auto end = w.next(s);
    REQUIRE(end.has_value());
    CHECK_FALSE(*end);
    CHECK(w.cancelled.empty());
}

TEST_CASE("stream: after a restart nothing of the attempt before is left", "[batching]") {
    lane_world w;
    const auto s = w.make();
    w.deliver(s, generation("a"));
    w.drain();
    CHECK(lane_world::ready(*s) == "a");
    w.deliver(s, generation("b"));
    s->start_over();
    w.deliver(s, generation("c"));
    w.drain();
    CHECK(lane_world::ready(*s) == "|c");
    CHECK(w.lane->is_full() == false);
}

TEST_CASE("stream: what has ended does not start over", "[batching]") {
    lane_world w;
    const auto s = w.make();
    w.deliver(s, generation("a", true));
    s->start_over();
    w.drain();
    CHECK(lane_world::ready(*s) == "a");
    CHECK_FALSE(w.next(s).value());
}

TEST_CASE(
    "stream: an error comes behind the steps before it, the first error counts", "[batching]") {
    lane_world w;
    const auto s = w.make();
    w.deliver(s, generation("a"));
    s->fail({errc::generation, "first"});
    s->fail({errc::generation, "second"});
    w.deliver(s, generation("b"));
    w.drain();
    CHECK(lane_world::ready(*s) == "a");
    CHECK(w.next(s).error().detail == "first");
}

TEST_CASE("stream: a step that cannot be read ends it and cancels the request", "[batching]") {
    lane_world w;
    const auto s = w.make(7);
    w.deliver(s, "no generation");
    w.deliver(s, generation("late"));
    w.drain();
    CHECK(lane_world::ready(*s).empty());
    CHECK(w.next(s).error().code == errc::generation);
    CHECK(w.cancelled == std::vector<scheduler::request_id>{7});
    CHECK(w.bad == 1);
}

TEST_CASE("stream: a reader may be behind by so much, and not a byte more", "[batching]") {
    const auto step = generation("12345");
    lane_world w{2 * step.size()};
    const auto s = w.make(7);
    w.deliver(s, step);
    w.deliver(s, step);
    w.drain();
    CHECK(w.cancelled.empty());
    SECTION("what was read makes room") {
        REQUIRE(s->poll());
        w.deliver(s, step);
        w.drain();
        CHECK(w.cancelled.empty());
        CHECK(lane_world::ready(*s) == "1234512345");
    }
    SECTION("one more ends it") {
        w.deliver(s, step);
        w.drain();
        CHECK(w.cancelled == std::vector<scheduler::request_id>{7});
        CHECK(lane_world::ready(*s).empty());
        CHECK(w.next(s).error().detail.find("too slowly") != std::string::npos);
    }
}

TEST_CASE("stream: what comes at once is not its reader's fault", "[batching]") {
    const auto step = generation("12345");
    lane_world w{2 * step.size()};
    const auto s = w.make(7);
    for (int i = 0; i < 5; ++i) w.deliver(s, step);
    w.drain();
    CHECK(w.cancelled.empty());
    SECTION("nor is the next, when all was read") {
        CHECK(lane_world::ready(*s).size() == 25);
        for (int i = 0; i < 5; ++i) w.deliver(s, step);
        w.drain();
        CHECK(w.cancelled.empty());
    }
    SECTION("the next is, when something was not read") {
        for (int i = 0; i < 4; ++i) REQUIRE(s->poll());
        w.deliver(s, step);
        w.drain();
        CHECK(w.cancelled.empty());
        w.deliver(s, step);
        w.drain();
        CHECK(w.cancelled == std::vector<scheduler::request_id>{7});
    }
}

TEST_CASE("stream: one step may be larger than what a reader may be behind", "[batching]") {
    lane_world w{10};
    const auto s = w.make();
    w.deliver(s, generation(std::string(5000, 'x')));
    w.drain();
    CHECK(lane_world::ready(*s).size() == 5000);
    CHECK(w.cancelled.empty());
}

TEST_CASE("stream: who leaves cancels once, and not what has ended", "[batching]") {
    lane_world w;
    const auto s = w.make(7);
    s->leave();
    s->leave();
    CHECK(s->abandoned());
    CHECK(w.cancelled == std::vector<scheduler::request_id>{7});
    w.deliver(s, generation("a"));
    w.drain();
    CHECK(lane_world::ready(*s).empty());

    const auto done = w.make(8);
    w.deliver(done, generation("a", true));
    w.drain();
    done->leave();
    CHECK(w.cancelled.size() == 1);
}

TEST_CASE("lane: is full above its limit and says when it no longer is", "[batching]") {
    const auto step = generation("12345");
    lane_world w{1U << 20U, 2 * step.size()};
    const auto s = w.make();
    w.deliver(s, step);
    w.deliver(s, step);
    CHECK_FALSE(w.lane->is_full());
    w.drain();
    CHECK(w.drained == 0);
    for (int i = 0; i < 3; ++i) w.deliver(s, step);
    CHECK(w.lane->is_full());
    w.drain();
    CHECK_FALSE(w.lane->is_full());
    CHECK(w.drained == 1);
}

TEST_CASE("lane: two threads, and nothing lost or out of order", "[batching][mt]") {
    constexpr int streams = 20;
    constexpr int steps = 500;
    lane_world w{1U << 24U};
    std::vector<std::shared_ptr<stream_core>> all;
    for (int i = 0; i < streams; ++i) all.push_back(w.make(static_cast<std::uint64_t>(i)));
    std::thread engine{[&] {
        for (int step = 0; step < steps; ++step) {
            delivery d;
            const auto text = std::to_string(step) + ";";
            d.buffers.push_back(
                std::make_shared<const std::string>(generation(text, step == steps - 1)));
            for (const auto& s : all) d.spans.push_back({s, *d.buffers.back(), {}});
            d.bytes = d.buffers.back()->size() * all.size();
            w.lane->post(std::move(d));
        }
    }};
    std::string wanted;
    for (int step = 0; step < steps; ++step) wanted += std::to_string(step) + ";";
    std::atomic<int> whole{0};
    for (const auto& s : all) {
        asio::co_spawn(
            w.ctx,
            [&, s]() -> asio::awaitable<void> {
                std::string got;
                for (;;) {
                    auto step = co_await s->next();
                    if (!step || !*step) break;
                    for (const auto& t : (*step)->tokens) got += t.text;
                }
                if (got == wanted) ++whole;
            },
            asio::detached);
    }
    auto guard = asio::make_work_guard(w.ctx);
    std::thread http{[&] { w.ctx.run_for(std::chrono::seconds{60}); }};
    engine.join();
    guard.reset();
    http.join();
    CHECK(whole == streams);
}
