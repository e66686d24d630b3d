#include "api/after_prompt.hpp"

#include "support/run_coro.hpp"

#include <boost/asio/awaitable.hpp>
#include <catch2/catch.hpp>

#include <deque>
#include <string>
#include <utility>

using namespace truffula;
using namespace truffula::api;
namespace asio = boost::asio;

namespace {

using maybe_step = std::optional<inference::step>;

inference::step with_tokens(const std::string& text) {
    inference::step s;
    s.tokens.emplace_back().text = text;
    return s;
}

/// Steps that are there already; then, if it is set, an error.
class ready_stream final : public inference::token_stream {
public:
    explicit ready_stream(std::deque<inference::step> steps, std::optional<error> end = {})
        : steps_(std::move(steps)), end_(std::move(end)) {}

    asio::awaitable<result<maybe_step>> next() override {
        auto got = poll();
        if (!got && end_) co_return *end_;
        co_return std::move(got);
    }

    maybe_step poll() override {
        if (steps_.empty()) return std::nullopt;
        maybe_step first{std::move(steps_.front())};
        steps_.pop_front();
        return first;
    }

    const inference::timeline& times() const override { return times_; }

private:
    std::deque<inference::step> steps_;
    std::optional<error> end_;
    inference::timeline times_;
};

}  // namespace

TEST_CASE("after the prompt: a stream gives all its steps as if nobody had looked", "[api]") {
    test::run_coro([]() -> asio::awaitable<void> {
        inference::step again;
        again.restarted = true;
        inference::step part;  // of a prompt that is computed in parts
        part.prefill_length = 7;
        std::deque<inference::step> steps{again, part, with_tokens("a"), with_tokens("b")};
        stream_ptr from = std::make_unique<ready_stream>(std::move(steps));
        auto after = co_await after_prompt(std::move(from));
        REQUIRE(after);
        auto& stream = **after;
        auto first = co_await stream.next();
        REQUIRE(first);
        CHECK((*first)->restarted);
        CHECK(stream.poll()->prefill_length == 7);
        auto token = co_await stream.next();
        REQUIRE(token);
        CHECK((*token)->tokens.front().text == "a");
        CHECK(stream.poll()->tokens.front().text == "b");
        CHECK_FALSE(stream.poll());
        auto end = co_await stream.next();
        REQUIRE(end);
        CHECK_FALSE(*end);
    });
}

TEST_CASE("after the prompt: what ends before it says why", "[api]") {
    test::run_coro([]() -> asio::awaitable<void> {
        error why{errc::generation, "no such adapter"};
        stream_ptr from = std::make_unique<ready_stream>(std::deque<inference::step>{}, why);
        auto after = co_await after_prompt(std::move(from));
        REQUIRE(after.has_error());
        CHECK(after.error().code == errc::generation);
    });
}
