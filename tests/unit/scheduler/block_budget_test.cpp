// Budgets of shards that are given blocks: admission, prefix cache, prompts in parts.
#include "support/scheduler_world.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <numeric>
#include <random>

using namespace truffula;
using test::asked;
using test::scheduler_world;

namespace {

using ids = std::vector<std::uint32_t>;

ids count_from(std::uint32_t first, std::size_t length) {
    ids out(length);
    std::iota(out.begin(), out.end(), first);
    return out;
}

/// Blocks of one token, `usable` of them.
scheduler::shard_limits paged(std::uint32_t usable, std::uint32_t prefill = 1000) {
    auto l = scheduler_world::limits(prefill, usable + 1);
    l.model = scheduler::cost_model::blocks;
    return l;
}

scheduler::scheduler_settings caching() {
    scheduler::scheduler_settings s;
    s.prefix_caching = true;
    return s;
}

asked prompt(ids of, std::uint32_t output = 1) {
    asked a;
    a.ids = std::move(of);
    a.output = output;
    return a;
}

/// Their prompts are computed, and they leave.
void serve(scheduler_world& w) {
    for (auto& r : w.running) r.blocks->confirm(r.what.what->input_ids);
    w.end_all();
}

std::string refusal(scheduler_world& w, scheduler::request_id id) {
    const auto& failure = w.sinks.at(id)->failure;
    return failure ? failure->detail : "";
}

}  // namespace

TEST_CASE("block budget: what can never fit is refused, with both numbers", "[scheduler]") {
    auto l = paged(9);
    l.block_size = 16;
    l.total_token_budget = 160;
    l.speculate = GENERATE(0U, 3U);
    scheduler_world w{l};
    const auto most = 144 + 1 - l.speculate;  // the last token is never written
    const auto fits = w.submit({"", 100, most - 100});
    const auto too_large = w.submit({"", 100, most - 99});
    CHECK(refusal(w, fits).empty());
    CHECK(
        refusal(w, too_large) ==
        "blocks for `inputs` tokens + `max_new_tokens` must be <= 9 (all blocks of the shards but "
        "the reserved one). Given: 10");
    CHECK(w.next(std::nullopt, 1000, 160) == std::vector{fits});
}

TEST_CASE("block budget: a prompt is cut only where shards compute it in parts", "[scheduler]") {
    auto l = paged(3000);
    l.chunked_prefill = GENERATE(true, false);
    scheduler_world w{l};
    const auto exact = w.submit({"", 1000, 1});
    const auto beyond = w.submit({"", 1001, 1});
    CHECK(refusal(w, exact).empty());
    if (l.chunked_prefill) {
        CHECK(refusal(w, beyond).empty());
    } else {
        CHECK(
            refusal(w, beyond) ==
            "`inputs` tokens must be <= 1000 (the prefill token budget). Given: 1001");
    }
}

TEST_CASE("chunks: the last prompt takes what is left of the prefill budget", "[scheduler]") {
    auto l = paged(3000, 100);
    l.chunked_prefill = true;
    scheduler_world w{l};
    const auto a = w.submit({"", 60, 1});
    const auto b = w.submit({"", 40, 1});
    const auto c = w.submit({"", 70, 1});
    const auto d = w.submit({"", 5, 1});
    CHECK(w.next(std::nullopt, 100) == std::vector{a, b});
    CHECK_FALSE(w.running[0].chunk_len);
    CHECK_FALSE(w.running[1].chunk_len);
    CHECK(w.next(std::nullopt, 30) == std::vector{c});
    CHECK(w.running[2].chunk_len == 30U);
    CHECK(w.next(std::nullopt, 0).empty());
    CHECK(w.next(std::nullopt, 1) == std::vector{d});
    CHECK(w.running[3].chunk_len == 1U);
}

TEST_CASE("chunks: padded shards get whole prompts", "[scheduler]") {
    auto l = scheduler_world::limits(100);
    l.model = scheduler::cost_model::padded;
    l.chunked_prefill = true;
    scheduler_world w{l};
    w.submit({"", 60, 1});
    w.submit({"", 60, 1});
    CHECK(w.next(std::nullopt, 100).size() == 1);
    CHECK_FALSE(w.running[0].chunk_len);
    CHECK(refusal(w, w.submit({"", 101, 1})) != "");
}

TEST_CASE("prefix cache: only what is to be computed counts", "[scheduler]") {
    scheduler_world w{paged(300, 120), caching()};
    const auto common = count_from(1, 90);
    w.submit(prompt(common));
    CHECK(w.next(std::nullopt, 100).size() == 1);
    serve(w);
    // 1 token each, where 90 would be too many for a second.
    for (int i = 0; i < 100; ++i) w.submit(prompt(common));
    w.submit(prompt(count_from(1, 120)));
    CHECK(w.next(std::nullopt, 100).size() == 100);
    CHECK(w.running[99].blocks->cached_tokens() == 89);
    CHECK(w.state.blocks()->used == 89 + 100 * 1);
    serve(w);
    CHECK(w.next(std::nullopt, 29).empty());
    CHECK(w.next(std::nullopt, 30).size() == 1);
}

TEST_CASE(
    "prefix cache: prompts whose log-probabilities are asked for are computed", "[scheduler]") {
    scheduler_world w{paged(300), caching()};
    auto what = prompt(count_from(1, 20));
    w.submit(what);
    w.next();
    serve(w);
    what.prefill_logprobs = true;
    w.submit(what);
    w.next();
    CHECK(w.running.at(0).blocks->cached_tokens() == 0);
}

TEST_CASE("prefix cache: tenants share with each other unless it is salted", "[scheduler]") {
    auto settings = caching();
    const bool is_salted = GENERATE(true, false);
    if (is_salted) settings.prefix_cache_salt = scheduler::prefix_salt::tenant;
    scheduler_world w{paged(300), settings};
    auto what = prompt(count_from(1, 20));
    what.tenant = "one";
    w.submit(what);
    w.next();
    serve(w);
    for (const auto* tenant : {"one", "two"}) {
        what.tenant = tenant;
        w.submit(what);
    }
    w.next();
    CHECK(w.running.at(0).blocks->cached_tokens() == 19);
    CHECK(w.running.at(1).blocks->cached_tokens() == (is_salted ? 0 : 19));
}

TEST_CASE("prefix cache: an adapter's prompts go with its weights", "[scheduler]") {
    auto settings = caching();
    settings.adapters.max_active_adapters = 1;
    scheduler_world w{paged(300), settings};
    auto what = prompt(count_from(1, 20));
    const auto ask = [&](const char* adapter) {
        what.adapter = adapter;
        w.submit(what);
        for (int i = 0; i < 10; ++i) {
            w.run_calls();
            if (!w.next().empty()) break;
            w.now += std::chrono::seconds{3};
        }
        REQUIRE(w.running.size() == 1);
        const auto cached = w.running[0].blocks->cached_tokens();
        serve(w);
        w.next();
        return cached;
    };
    CHECK(ask("a") == 0);
    CHECK(ask("a") == 19);
    CHECK(ask("b") == 0);  // takes the only place
    CHECK(ask("a") == 0);
    // What was forgotten stays with the cache until it is needed; no request holds anything.
    CHECK(w.state.blocks()->cached == 60);
    CHECK(w.state.blocks()->used == 0);
}

TEST_CASE("prefix cache: four that lacked blocks are matched again for a batch", "[scheduler]") {
    const auto adapters = GENERATE(4U, 5U, 6U);
    constexpr std::uint32_t common = 20;
    scheduler_world w{paged(adapters * common + 15), caching()};
    const auto ask = [&](std::uint32_t i, std::size_t length) {
        auto what = prompt(count_from(100 * i, length));
        what.adapter = "a" + std::to_string(i);
        return w.submit(what);
    };
    for (std::uint32_t i = 0; i < adapters; ++i) ask(i, common);
    w.run_calls();
    REQUIRE(w.next(std::nullopt, 1000).size() == adapters);
    std::vector<scheduler::request_id> waiting;
    for (std::uint32_t i = 0; i < adapters; ++i) waiting.push_back(ask(i, common + 2));
    REQUIRE(w.next(std::nullopt, 1000).empty());  // nothing of theirs is cached yet
    for (auto& r : w.running) r.blocks->confirm(r.what.what->input_ids);
    // Each needs two blocks now, of fifteen.
    CHECK(w.next(std::nullopt, 1000) == std::vector(waiting.begin(), waiting.begin() + 4));
    CHECK(w.next(std::nullopt, 1000) == std::vector(waiting.begin() + 4, waiting.end()));
}

TEST_CASE("prefix cache: shards that come back have nothing cached", "[scheduler]") {
    scheduler_world w{paged(300), caching()};
    w.submit(prompt(count_from(1, 20)));
    w.next();
    auto late = std::move(w.running);  // still held when the others are gone
    w.running.clear();
    w.state.shards_changed(paged(200), w.now);
    CHECK(w.state.blocks()->free == 200);
    late[0].blocks->confirm(count_from(1, 20));
    late.clear();
    w.submit(prompt(count_from(1, 20)));
    w.next();
    CHECK(w.running.at(0).blocks->cached_tokens() == 0);
    CHECK(w.state.blocks()->used == 20);
}

TEST_CASE("prefix cache: shards that come back with less refuse what cannot fit", "[scheduler]") {
    scheduler_world w{paged(300), caching()};
    const auto fits = w.submit({"", 100, 101});
    const auto too_large = w.submit({"", 100, 102});
    w.state.shards_changed(paged(200), w.now);
    w.drain();
    CHECK(refusal(w, fits).empty());
    CHECK(refusal(w, too_large).find("must be <= 20") != std::string::npos);
    CHECK(w.next() == std::vector{fits});
}

/// From any state that requests can bring about, once nothing runs: the oldest request of all, if
/// its adapter is ready, is in the next batch, or is passed by younger ones within its bound.
TEST_CASE("admission: what was admitted is never stuck", "[scheduler][property]") {
    const auto seed = Catch::rngSeed() + GENERATE(0U, 1U, 2U, 3U);
    std::mt19937 random{seed};
    const auto below = [&random](std::uint32_t n) {
        return static_cast<std::uint32_t>(random() % n);
    };
    INFO("seed " << seed);
    auto settings = caching();
    settings.max_overtakes = 3;
    settings.adapters.max_active_adapters = 3;
    if (below(2) == 0) settings.max_batch_size = 4;
    auto l = scheduler_world::limits(60, 200);
    l.model = GENERATE(
        scheduler::cost_model::blocks, scheduler::cost_model::padded, scheduler::cost_model::plain);
    l.block_size = below(2) == 0 ? 1 : 7;
    l.speculate = below(3);
    l.chunked_prefill = below(2) == 0;
    scheduler_world w{l, settings};
    std::map<scheduler::request_id, bool> waiting;  // and whether it is for the base model
    std::map<scheduler::request_id, std::uint32_t> overtaken;
    const auto ask_batch = [&](std::uint32_t prefill) {
        const auto is_drained = w.running.empty();
        const auto oldest = waiting.empty() ? 0 : waiting.begin()->first;
        const bool is_ready = !waiting.empty() && waiting.begin()->second;
        const auto taken = w.next(std::nullopt, prefill, 200);
        for (const auto id : taken) waiting.erase(id);
        if (!is_ready || !waiting.contains(oldest)) return;
        INFO("oldest " << oldest << " was overtaken " << overtaken[oldest] << " times");
        // Younger ones may go first, but not when it has been passed often enough.
        if (overtaken[oldest] >= settings.max_overtakes) REQUIRE(taken.empty());
        if (is_drained && prefill == 60) REQUIRE_FALSE(taken.empty());
        overtaken[oldest] += static_cast<std::uint32_t>(taken.size());
    };
    for (int round = 0; round < 300; ++round) {
        INFO("round " << round);
        for (auto n = below(12); n > 0; --n) {
            auto what = prompt(ids(1 + below(120), below(2)), 1 + below(150));
            if (below(2) == 0) what.ids = count_from(0, what.ids.size());
            if (below(3) == 0) what.adapter = std::string{static_cast<char>('a' + below(5))};
            what.prefill_logprobs = below(9) == 0;
            const auto id = w.submit(what);
            if (w.sinks.at(id)->failure || (below(10) == 0 && w.state.cancel(id))) continue;
            waiting[id] = what.adapter.empty();
        }
        w.run_calls();
        w.now += std::chrono::milliseconds{below(900)};
        ask_batch(below(61));
        while (!w.running.empty() && below(3) > 0) {
            auto& r = w.running[below(static_cast<std::uint32_t>(w.running.size()))];
            if (r.blocks && below(4) > 0) r.blocks->confirm(r.what.what->input_ids);
            w.end(r.what.id);
        }
        if (round % 5 != 0) continue;
        w.end_all();
        ask_batch(60);
    }
    // And in the end everything has had its turn.
    for (int turn = 0; w.state.waiting() > 0; ++turn) {
        REQUIRE(turn < 10'000);
        w.end_all();
        w.run_calls();
        ask_batch(60);
        w.now += std::chrono::milliseconds{500};
    }
    CHECK(waiting.empty());
}
