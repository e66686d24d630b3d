#include "api/after_prompt.hpp"

#include <deque>
#include <utility>

namespace truffula::api {

namespace asio = boost::asio;

namespace {

class resumed_stream final : public inference::token_stream {
public:
    resumed_stream(std::deque<inference::step> seen, stream_ptr rest)
        : seen_(std::move(seen)), rest_(std::move(rest)) {}

    asio::awaitable<result<std::optional<inference::step>>> next() override {
        if (auto seen = take_seen()) return give(std::move(*seen));
        return rest_->next();
    }

    std::optional<inference::step> poll() override {
        if (auto seen = take_seen()) return seen;
        return rest_->poll();
    }

    const inference::timeline& times() const override { return rest_->times(); }

private:
    static asio::awaitable<result<std::optional<inference::step>>> give(inference::step seen) {
        co_return std::optional{std::move(seen)};
    }

    std::optional<inference::step> take_seen() {
        if (seen_.empty()) return std::nullopt;
        std::optional first{std::move(seen_.front())};
        seen_.pop_front();
        return first;
    }

    std::deque<inference::step> seen_;
    stream_ptr rest_;
};

}  // namespace

asio::awaitable<result<stream_ptr>> after_prompt(stream_ptr stream) {
    std::deque<inference::step> seen;
    for (bool is_computed = false; !is_computed;) {
        auto next = co_await stream->next();
        if (!next) co_return next.error();
        auto step = std::move(*next);
        if (!step) break;
        is_computed = !step->tokens.empty() || step->finished;
        seen.push_back(std::move(*step));
    }
    stream_ptr resumed = std::make_unique<resumed_stream>(std::move(seen), std::move(stream));
    co_return std::move(resumed);
}

}  // namespace truffula::api
