#include "support/scheduler_world.hpp"
#include "truffula/scheduler/scheduler_state.hpp"

#include <catch2/catch.hpp>

using namespace truffula;
using namespace std::chrono_literals;
using test::scheduler_world;
using ids = std::vector<scheduler::request_id>;

namespace {

scheduler::request_id submit(
    scheduler_world& w, std::chrono::milliseconds left, const std::string& adapter = {}) {
    const auto id = w.next_id++;
    auto e = w.make(id, {adapter});
    auto what = std::make_shared<inference::request>(*e.what);
    what->deadline = w.now + left;
    e.what = std::move(what);
    w.state.submit(std::move(e), w.now);
    w.drain();
    return id;
}

bool timed_out(const scheduler_world& w, scheduler::request_id id) {
    const auto& failure = w.sinks.at(id)->failure;
    return failure && failure->code == errc::timeout;
}

/// Ten requests per second leave the queue, and twenty wait.
void make_busy(scheduler_world& w) {
    for (int i = 0; i < 70; ++i) w.submit({});
    for (int i = 0; i < 50; ++i) {
        w.next({}, 10);
        w.end_all();
        w.now += 100ms;
    }
    REQUIRE(w.state.waiting() == 20);
}

}  // namespace

TEST_CASE("deadline: a request leaves its queue when it has come", "[scheduler]") {
    scheduler_world w;
    const auto id = submit(w, 100ms);
    const auto other = w.submit({});
    CHECK(w.state.next_deadline(w.now) == w.now + 100ms);
    w.now += 99ms;
    w.state.expire(w.now);
    w.drain();
    CHECK_FALSE(w.sinks[id]->failure);
    w.now += 1ms;
    w.state.expire(w.now);
    w.drain();
    CHECK(timed_out(w, id));
    CHECK(w.sinks[id]->failure->detail == "The request waited longer than it may: for 0.1 s");
    CHECK(w.permits.in_use() == 1);
    CHECK_FALSE(w.state.next_deadline(w.now));
    CHECK(w.next() == ids{other});
}

TEST_CASE("deadline: it holds while the adapter is being fetched", "[scheduler]") {
    scheduler_world w;
    const auto id = submit(w, 100ms, "a");
    REQUIRE(w.state.due(w.now, 64).size() == 1);  // the download never ends
    w.now += 100ms;
    w.state.expire(w.now);
    w.drain();
    CHECK(timed_out(w, id));
    CHECK(w.permits.in_use() == 0);
}

TEST_CASE("deadline: it is met once the request is in a batch", "[scheduler]") {
    scheduler_world w;
    const auto id = submit(w, 100ms);
    CHECK(w.next() == ids{id});
    w.now += 1h;
    w.state.expire(w.now);
    w.drain();
    CHECK_FALSE(w.sinks[id]->failure);
}

TEST_CASE("deadline: one that has passed on arrival fails at once", "[scheduler]") {
    scheduler_world w;
    CHECK(timed_out(w, submit(w, 0ms)));
    CHECK(w.state.waiting() == 0);
}

TEST_CASE("deadline: the queue timeout holds for all, and the earlier of both", "[scheduler]") {
    scheduler::scheduler_settings s;
    s.queue_timeout = 200ms;
    scheduler_world w{scheduler_world::limits(), s};
    const auto early = submit(w, 100ms);
    const auto late = submit(w, 300ms);
    const auto plain = w.submit({});
    w.now += 100ms;
    w.state.expire(w.now);
    w.drain();
    CHECK(timed_out(w, early));
    CHECK_FALSE(timed_out(w, late));
    w.now += 100ms;
    w.state.expire(w.now);
    w.drain();
    CHECK(timed_out(w, late));
    CHECK(timed_out(w, plain));
}

TEST_CASE("deadline: who cannot meet it by the measured rate hears so at once", "[scheduler]") {
    scheduler_world w;
    make_busy(w);  // two seconds of waiting
    CHECK(timed_out(w, submit(w, 1500ms)));
    CHECK_FALSE(timed_out(w, submit(w, 3000ms)));
}

TEST_CASE("deadline: nobody is refused for the queue of others", "[scheduler]") {
    scheduler_world w;
    make_busy(w);
    CHECK_FALSE(timed_out(w, submit(w, 1500ms, "a")));  // it waits for its adapter first
}
