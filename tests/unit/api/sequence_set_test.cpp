#include "api/sequence_set.hpp"

#include "api/collect.hpp"
#include "support/run_coro.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <deque>

using namespace truffula;
namespace asio = boost::asio;
using test::run_coro;

namespace {

/// What a test gives a stream; it outlives the stream.
struct source {
    explicit source(asio::any_io_executor ex) : wake(ex, asio::steady_timer::time_point::max()) {}

    void give(std::string text, bool is_last = false) {
        inference::step s;
        s.tokens.resize(1);
        s.tokens.front().text = std::move(text);
        if (is_last) s.finished.emplace();
        ready.push_back(std::move(s));
        wake.cancel();
    }
    void fail() {
        failed = true;
        wake.cancel();
    }

    asio::steady_timer wake;
    std::deque<inference::step> ready;
    bool failed = false;
    bool is_gone = false;
    inference::timeline times;
};

class fake_stream final : public inference::token_stream {
public:
    explicit fake_stream(std::shared_ptr<source> from) : from_(std::move(from)) {}
    ~fake_stream() override { from_->is_gone = true; }

    asio::awaitable<result<std::optional<inference::step>>> next() override {
        const auto from = from_;
        for (;;) {
            if (auto step = poll()) co_return std::move(step);
            if (from->failed) co_return error{errc::generation, "failed"};
            (void)co_await from->wake.async_wait(asio::as_tuple(asio::use_awaitable));
            const auto state = co_await asio::this_coro::cancellation_state;
            if (state.cancelled() != asio::cancellation_type::none) {
                co_return error{errc::cancelled, "left"};
            }
        }
    }
    std::optional<inference::step> poll() override {
        if (from_->ready.empty()) return std::nullopt;
        auto first = std::move(from_->ready.front());
        from_->ready.pop_front();
        return first;
    }
    const inference::timeline& times() const override { return from_->times; }

private:
    std::shared_ptr<source> from_;
};

struct world {
    world(asio::any_io_executor ex, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            sources.push_back(std::make_shared<source>(ex));
            streams.push_back(std::make_unique<fake_stream>(sources.back()));
        }
    }
    std::vector<std::shared_ptr<source>> sources;
    api::sequence_set::streams streams;
};

std::string text_of(const api::sequence_set::arrival& a) {
    return a.got && *a.got ? (*a.got)->tokens.front().text : "";
}

asio::awaitable<void> turn() {
    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
}

}  // namespace

TEST_CASE("sequence set: one is read as it is", "[api]") {
    run_coro([]() -> asio::awaitable<void> {
        const auto ex = co_await asio::this_coro::executor;
        world w{ex, 1};
        w.sources[0]->give("a");
        w.sources[0]->give("b", true);
        api::sequence_set set{ex, std::move(w.streams)};
        const auto first = co_await set.next();
        CHECK(text_of(first) == "a");
        CHECK(set.poll(0)->tokens.front().text == "b");
        CHECK_FALSE(set.poll(0));
    });
}

TEST_CASE("sequence set: steps come from whichever has some", "[api]") {
    run_coro([]() -> asio::awaitable<void> {
        const auto ex = co_await asio::this_coro::executor;
        world w{ex, 3};
        api::sequence_set set{ex, std::move(w.streams)};
        w.sources[2]->give("c");
        auto got = co_await set.next();
        CHECK(got.sequence == 2);
        CHECK(text_of(got) == "c");
        w.sources[0]->give("a");
        w.sources[2]->give("d", true);
        std::string seen;
        for (int i = 0; i < 2; ++i) {
            got = co_await set.next();
            seen += std::to_string(got.sequence) + text_of(got);
        }
        CHECK((seen == "0a2d" || seen == "2d0a"));
    });
}

TEST_CASE("sequence set: what waits stays in the stream", "[api]") {
    run_coro([]() -> asio::awaitable<void> {
        const auto ex = co_await asio::this_coro::executor;
        world w{ex, 2};
        api::sequence_set set{ex, std::move(w.streams)};
        for (int i = 0; i < 5; ++i) w.sources[1]->give("x");
        for (int i = 0; i < 20; ++i) co_await turn();
        CHECK(w.sources[1]->ready.size() == 4);
    });
}

TEST_CASE("sequence set: all answers are collected in their order", "[api]") {
    run_coro([]() -> asio::awaitable<void> {
        const auto ex = co_await asio::this_coro::executor;
        world w{ex, 2};
        api::sequence_set set{ex, std::move(w.streams)};
        for (int i = 0; i < 3; ++i) w.sources[1]->give("b", i == 2);
        for (int i = 0; i < 2; ++i) w.sources[0]->give("a", i == 1);
        const auto all = co_await api::collect_all(set);
        REQUIRE(all);
        CHECK((*all)[0].tokens.size() == 2);
        CHECK((*all)[1].tokens.size() == 3);
    });
}

TEST_CASE("sequence set: the first error ends the collection", "[api]") {
    run_coro([]() -> asio::awaitable<void> {
        const auto ex = co_await asio::this_coro::executor;
        world w{ex, 2};
        api::sequence_set set{ex, std::move(w.streams)};
        w.sources[0]->give("a");
        w.sources[1]->fail();
        const auto all = co_await api::collect_all(set);
        REQUIRE(all.has_error());
        CHECK(all.error().code == errc::generation);
    });
}

TEST_CASE("sequence set: destroying it lets go of what still runs", "[api]") {
    run_coro([]() -> asio::awaitable<void> {
        const auto ex = co_await asio::this_coro::executor;
        world w{ex, 2};
        {
            api::sequence_set set{ex, std::move(w.streams)};
            w.sources[0]->give("a");
            const auto got = co_await set.next();
            CHECK(got.sequence == 0);
        }
        for (int i = 0; i < 20 && !w.sources[1]->is_gone; ++i) co_await turn();
        CHECK(w.sources[0]->is_gone);
        CHECK(w.sources[1]->is_gone);
    });
}
