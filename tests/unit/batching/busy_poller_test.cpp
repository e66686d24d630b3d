#include "batching/busy_poller.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>

#include <functional>
#include <memory>

using truffula::batching::busy_poller;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using std::chrono::steady_clock;

namespace {

struct polled {
    polled()
        : poller(std::make_shared<busy_poller>(context.get_executor(), [this] {
              ++times;
              if (then) then();
          })) {}

    asio::io_context context{1};
    int times = 0;
    std::function<void()> then;
    std::shared_ptr<busy_poller> poller;
};

}  // namespace

TEST_CASE("busy poller: polls from the one time until the other", "[batching]") {
    polled p;
    const auto now = steady_clock::now();
    bool is_early = false;
    p.then = [&] { is_early = is_early || steady_clock::now() < now + 5ms; };
    p.poller->poll_between(now + 5ms, now + 1h);
    while (p.times < 10) p.context.run_one();
    CHECK_FALSE(is_early);

    p.poller->poll_between(now, now + 10ms);
    p.context.run();  // ends by itself
    CHECK(steady_clock::now() >= now + 10ms);
}

TEST_CASE("busy poller: a window that is over is not polled in", "[batching]") {
    polled p;
    const auto now = steady_clock::now();
    p.poller->poll_between(now - 2ms, now - 1ms);
    p.context.run();
    CHECK(p.times == 0);
}

TEST_CASE("busy poller: ends when asked, also from inside a poll", "[batching]") {
    polled p;
    const auto now = steady_clock::now();
    SECTION("before it began") {
        p.poller->poll_between(now, now + 1h);
        p.poller->end();
        p.context.run();
        CHECK(p.times == 0);
    }
    SECTION("from inside") {
        p.then = [&] {
            if (p.times == 3) p.poller->end();
        };
        p.poller->poll_between(now, now + 1h);
        p.context.run();
        CHECK(p.times == 3);
    }
    SECTION("when the next window is asked for from inside") {
        p.then = [&] {
            if (p.times == 3) p.poller->poll_between(now - 2ms, now - 1ms);
        };
        p.poller->poll_between(now, now + 1h);
        p.context.run();
        CHECK(p.times == 3);
    }
}

TEST_CASE("busy poller: lets others run in between", "[batching]") {
    polled p;
    const auto now = steady_clock::now();
    p.then = [&] {
        if (p.times == 2) asio::post(p.context, [&] { p.poller->end(); });
    };
    p.poller->poll_between(now, now + 1h);
    p.context.run();
    CHECK(p.times >= 2);
}
