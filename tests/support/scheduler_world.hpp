#pragma once

#include "truffula/scheduler/scheduler_state.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace truffula::test {

/// Remembers how a request ended.
class recording_sink final : public scheduler::sink {
public:
    void fail(error why) override { failure = std::move(why); }
    bool abandoned() const noexcept override { return has_left; }
    std::optional<error> failure;
    bool has_left = false;
};

struct asked {
    std::string adapter;  ///< Empty: base.
    std::uint32_t input = 10;
    std::uint32_t output = 10;
    std::string token = {};
    adapter::source from = adapter::source::local;
    inference::task kind = inference::task::generate;
    std::vector<std::uint32_t> ids = {};  ///< Of the prompt; gives its length.
    std::string tenant = "default";
    bool prefill_logprobs = false;
};

/// A scheduler in virtual time whose adapter calls succeed at once, unless told otherwise.
struct scheduler_world {
    static scheduler::shard_limits limits(
        std::uint32_t prefill = 1000, std::uint32_t total = 4000) {
        scheduler::shard_limits l;
        l.prefill_token_budget = prefill;
        l.total_token_budget = total;
        return l;
    }

    explicit scheduler_world(
        scheduler::shard_limits limits = scheduler_world::limits(),
        scheduler::scheduler_settings settings = {})
        : permits(1'000'000), state(std::move(settings), std::move(limits)) {}

    scheduler::request_id submit(const asked& what) {
        const auto id = next_id++;
        state.submit(make(id, what), now);
        drain();
        return id;
    }

    scheduler::entry make(scheduler::request_id id, const asked& what) {
        auto request = std::make_shared<inference::request>();
        request->kind = what.kind;
        request->input_length =
            what.ids.empty() ? what.input : static_cast<std::uint32_t>(what.ids.size());
        request->input_ids = what.ids;
        request->prefill_logprobs = what.prefill_logprobs;
        request->stopping.max_new_tokens = what.output;
        auto ref = std::make_shared<adapter::adapter_ref>();
        if (!what.adapter.empty()) ref->what.ids = {what.adapter};
        ref->from = what.from;
        ref->api_token = what.token;
        ref->tenant = what.tenant;
        scheduler::entry e;
        e.id = id;
        e.what = request;
        e.adapter = ref;
        e.to = sinks[id] = std::make_shared<recording_sink>();
        e.admission = std::move(*permits.try_acquire());
        e.created = now;
        return e;
    }

    /// Makes all adapter calls that are due; those of `failing` adapters fail.
    void run_calls() {
        for (int guard = 0; guard < 1000; ++guard) {
            const auto calls = state.due(now, 64);
            drain();
            if (calls.empty()) return;
            for (const auto& c : calls) {
                made.push_back(c);
                result<adapter::memory_share> outcome = share;
                if (c.kind == adapter::call_kind::download && failing.contains(c.what.ids[0])) {
                    outcome = error{errc::rpc_failed, failing.at(c.what.ids[0])};
                }
                state.finished(c.id, outcome, now);
                drain();
            }
        }
    }

    /// Ids of the next batch; it counts as running until `end`.
    std::vector<scheduler::request_id> next(
        const scheduler::join_terms& terms = {},
        std::uint32_t prefill = 1000,
        std::uint32_t total = 4000) {
        return start(state.next_batch(in_use(), terms, prefill, total, now));
    }

    /// Likewise of requests that do not generate.
    std::vector<scheduler::request_id> next_pooled(std::uint32_t prefill = 1000) {
        return start(state.next_pooled_batch(in_use(), prefill, now));
    }

    std::vector<scheduler::request_id> start(std::vector<scheduler::scheduled_entry> batch) {
        std::vector<scheduler::request_id> ids;
        for (auto& e : batch) {
            ids.push_back(e.what.id);
            running.push_back(std::move(e));
        }
        return ids;
    }

    std::vector<scheduler::request_id> next(std::size_t min_size) {
        return next(scheduler::join_terms{std::optional{min_size}});
    }

    std::vector<adapter::adapter_key> in_use() const {
        std::vector<adapter::adapter_key> keys;
        for (const auto& r : running) keys.push_back(r.key);
        std::sort(keys.begin(), keys.end());
        keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
        return keys;
    }

    void end(scheduler::request_id id) {
        for (auto at = running.begin(); at != running.end(); ++at) {
            if (at->what.id != id) continue;
            const auto what = at->what.what;
            running.erase(at);
            if (what->kind == inference::task::generate) {
                state.ended(what->input_length, what->stopping.max_new_tokens);
            }
            return;
        }
    }

    void end_all() {
        while (!running.empty()) end(running.back().what.id);
    }

    void drain() {
        for (auto& [e, why] : state.take_failed()) e.to->fail(why);
    }

    scheduler::admission permits;
    scheduler::time_point now{std::chrono::hours{1}};
    scheduler::request_id next_id = 0;
    adapter::memory_share share = 1000;
    std::map<std::string, std::string> failing;
    std::map<scheduler::request_id, std::shared_ptr<recording_sink>> sinks;
    std::vector<adapter::call> made;
    scheduler::scheduler_state state;
    std::vector<scheduler::scheduled_entry> running;
};

}  // namespace truffula::test
