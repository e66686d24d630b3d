#pragma once

#include "support/fake_shards.hpp"
#include "truffula/batching/engine.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace truffula::test {

class counting_observer final : public batching::engine_observer {
public:
    void protocol_error(std::string_view kind, std::uint32_t n) override {
        if (n > 0) errors[std::string{kind}] += n;
    }
    void requeued(std::size_t n) override { requeues += n; }
    void batch_formed(std::size_t, batching::join_reason why) override { joins.push_back(why); }
    void connected(bool is) override { connections.push_back(is); }
    std::map<std::string, std::uint32_t> errors;
    std::size_t requeues = 0;
    std::vector<batching::join_reason> joins;
    std::vector<bool> connections;
};

/// An engine over fake shards, all on the test's thread.
struct engine_world {
    explicit engine_world(boost::asio::any_io_executor e) : ex(std::move(e)), permits(1000) {
        settings.total_budget = [](const shard::started_group&) -> result<std::uint32_t> {
            return 4000U;
        };
        settings.max_batch_prefill_tokens = 1000;
        settings.joining.waiting_served_ratio = 0.0F;
        settings.connect = [this] { return connect(); };
    }

    boost::asio::awaitable<result<shard::started_group>> connect() {
        script->calls.push_back("connect");
        co_return group();
    }
    shard::started_group group() {
        shard::started_group g;
        g.info = model;
        g.group = std::make_unique<fake_shards>(ex, script);
        return g;
    }

    void start() {
        auto made = batching::create_engine(ex, {ex}, settings, group(), observer);
        REQUIRE(made);
        engine = *made;
    }
    ~engine_world() {
        late.reset();  // streams end before their engine
        if (engine) engine->stop();
        CHECK(std::ranges::count(script->calls, "OVERLAP") == 0);
    }

    std::unique_ptr<inference::token_stream> submit(
        std::uint32_t max_new,
        const std::string& adapter = "",
        bool streamed = true,
        std::uint32_t input = 3) {
        auto what = std::make_shared<inference::request>();
        what->input_length = input;
        what->stopping.max_new_tokens = max_new;
        what->is_streamed = streamed;
        adapter::adapter_ref ref;
        if (!adapter.empty()) ref.what.ids = {adapter};
        ref.from = adapter::source::local;
        auto stream = engine->submit(ref, what, std::move(*permits.try_acquire()), 0);
        REQUIRE(stream);
        return std::move(*stream);
    }

    /// One that comes while the shards compute the next Decode; `late` is its stream.
    void submit_later(std::uint32_t max_new, std::uint32_t input = 3) {
        script->during_decode = [this, max_new, input, is_there = false]() mutable {
            if (!std::exchange(is_there, true)) late = submit(max_new, "", true, input);
        };
    }

    /// A request that does not generate.
    std::unique_ptr<inference::token_stream> submit_pooled(inference::task kind) {
        auto what = std::make_shared<inference::request>();
        what->kind = kind;
        what->input_length = 3;
        what->stopping.max_new_tokens = 1;
        what->is_streamed = false;
        auto stream = engine->submit({}, what, std::move(*permits.try_acquire()), 0);
        REQUIRE(stream);
        return std::move(*stream);
    }

    boost::asio::any_io_executor ex;
    shard::model_info model;
    scheduler::admission permits;
    counting_observer observer;
    std::shared_ptr<fake_shards::script> script = std::make_shared<fake_shards::script>();
    batching::engine_settings settings;
    std::shared_ptr<batching::engine> engine;
    std::unique_ptr<inference::token_stream> late;
};

struct collected {
    std::string text;
    std::optional<error> failure;
    bool finished = false;
    int restarts = 0;
    std::shared_ptr<const inference::pooled_answer> pooled;
};

inline boost::asio::awaitable<collected> collect(std::unique_ptr<inference::token_stream> stream) {
    collected c;
    for (;;) {
        auto step = co_await stream->next();
        if (!step) {
            c.failure = step.error();
            co_return c;
        }
        if (!*step) co_return c;
        if ((*step)->restarted) {
            ++c.restarts;
            c.text.clear();
        }
        for (const auto& t : (*step)->tokens) c.text += t.text;
        if ((*step)->finished) c.finished = true;
        if ((*step)->pooled) c.pooled = (*step)->pooled;
    }
}

/// Runs other coroutines until `done` holds.
template <class Done>
boost::asio::awaitable<void> until(Done done) {
    boost::asio::steady_timer timer{co_await boost::asio::this_coro::executor};
    while (!done()) {
        timer.expires_after(std::chrono::milliseconds{1});
        co_await timer.async_wait(boost::asio::use_awaitable);
    }
}

using calls = std::vector<std::string>;

inline bool has(const calls& all, const std::string& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
}

}  // namespace truffula::test
