#pragma once

#include "support/random_walk.hpp"
#include "truffula/scheduler/scheduler_state.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace truffula::test {

/// What somebody asks for in a random walk.
struct walk_request {
    std::string adapter;  ///< Empty: base.
    std::string tenant;
    inference::task kind = inference::task::generate;
    inference::priority priority = inference::priority::interactive;
    std::uint32_t input = 1;
    std::uint32_t output = 0;
    bool needs_proof = false;
    std::optional<scheduler::time_point> deadline;

    bool generates() const { return kind == inference::task::generate; }
};

/// Nobody listens: failures are taken from the state.
class deaf_sink final : public scheduler::sink {
public:
    void fail(error) override {}
    bool abandoned() const noexcept override { return false; }
};

inline scheduler::scheduler_settings random_settings(std::uint64_t seed) {
    using namespace std::chrono_literals;
    scheduler::scheduler_settings s;
    s.max_overtakes = 4;
    s.max_heads_passed = 1 + seed % 4;
    s.is_fair = seed / 2 % 2 == 1;
    s.shares.tenant_weights = {{"heavy", 3.0}, {"light", 0.25}};
    if (seed % 17 < 3) s.queue_timeout = 700ms;
    s.prefix_caching = seed % 5 < 3;
    if (seed % 11 < 4) s.prefix_cache_salt = scheduler::prefix_salt::tenant;
    s.cycle_time = 100ms;
    if (seed % 2 == 0) s.max_batch_size = 1 + seed / 4 % 6;
    s.adapters.shares_slots = s.is_fair;
    s.adapters.tenant_weights = s.shares.tenant_weights;
    s.adapters.max_active_adapters = 1 + seed % 3;
    s.adapters.cycle_time = 100ms;
    s.adapters.first_backoff = 50ms;
    s.adapters.last_backoff = 200ms;
    s.adapters.proof_lifetime = 1s;
    s.adapters.max_known_adapters = 3;
    return s;
}

inline scheduler::shard_limits random_limits(std::uint64_t seed) {
    scheduler::shard_limits l;
    l.model = static_cast<scheduler::cost_model>(seed % 3);
    l.prefill_token_budget = 100;
    l.total_token_budget = 300;
    l.block_size = static_cast<std::uint32_t>(1 + seed % 7);
    l.speculate = static_cast<std::uint32_t>(seed % 2);
    l.chunked_prefill = seed % 13 < 5;
    adapter::adapter_table::preloaded_adapter p;
    p.what.ids = {"preloaded"};
    p.index = 1;
    l.preloaded.push_back(p);
    return l;
}

/// One in ten does not generate, one in five has a deadline, which may be over.
inline walk_request random_request(const walk_step& s, scheduler::time_point now) {
    static const char* const adapters[] = {"", "a", "b", "c", "d", "e", "private", "preloaded"};
    static const char* const tenants[] = {"default", "heavy", "light", "other"};
    walk_request r;
    r.adapter = adapters[s.a % 8];
    r.tenant = tenants[s.a / 8 % 4];
    r.needs_proof = r.adapter == "private";
    if (s.a / 32 % 3 == 0) r.priority = inference::priority::batch;
    r.input = 1 + s.b % 110;
    r.output = s.c % 120;
    const auto dice = s.b / 110 % 20;
    if (dice == 0) r.kind = inference::task::embed;
    if (dice == 1) r.kind = inference::task::classify;
    if (!r.generates()) r.output = 0;
    if (s.c / 120 % 5 == 0)
        r.deadline =
            now + std::chrono::milliseconds{s.c / 600 % 3000} - std::chrono::milliseconds{50};
    return r;
}

inline scheduler::entry make_entry(
    scheduler::request_id id,
    const walk_request& r,
    scheduler::admission& permits,
    scheduler::time_point now) {
    static const auto sink = std::make_shared<deaf_sink>();
    auto request = std::make_shared<inference::request>();
    request->kind = r.kind;
    request->priority = r.priority;
    request->deadline = r.deadline;
    request->input_length = r.input;
    for (std::uint32_t i = 0; i < r.input; ++i) {  // prompts that begin alike, and part
        request->input_ids.push_back(i < 25 + r.output % 3 * 20 ? i : r.output);
    }
    request->prefill_logprobs = r.output % 7 == 0;
    request->stopping.max_new_tokens = r.output;
    auto ref = std::make_shared<adapter::adapter_ref>();
    if (!r.adapter.empty()) ref->what.ids = {r.adapter};
    ref->from = r.needs_proof ? adapter::source::hub : adapter::source::local;
    ref->api_token = id % 2 == 0 ? "one" : "two";
    ref->tenant = r.tenant;
    scheduler::entry e;
    e.id = id;
    e.what = std::move(request);
    e.adapter = std::move(ref);
    e.to = sink;
    e.admission = std::move(*permits.try_acquire());
    e.created = now;
    return e;
}

/// Whether no batch could ever hold it: in the words of the rules, not in those of the code.
inline bool can_never_fit(const walk_request& r, const scheduler::shard_limits& l) {
    const bool may_be_cut = r.generates() && l.cuts_prompts();
    if (r.input > l.prefill_token_budget && !may_be_cut) return true;
    if (r.generates() && r.input + r.output > l.total_token_budget) return true;
    if (l.model != scheduler::cost_model::blocks) return false;
    // The last token is never written; block 0 belongs to health checks.
    const auto written = r.input + r.output + l.speculate - 1;
    return written > (l.total_token_budget / l.block_size - 1) * l.block_size;
}

}  // namespace truffula::test
