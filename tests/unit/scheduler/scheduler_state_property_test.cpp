// The scheduler under random requests, batches, adapter calls and losses of shards: whatever
// happens, each request leaves exactly once, and the rules of design section 5 hold.
#include "support/random_walk.hpp"
#include "truffula/scheduler/scheduler_state.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

using namespace truffula;
using namespace std::chrono_literals;
using adapter::adapter_key;
using scheduler::cost_model;
using scheduler::entry;
using scheduler::request_id;
using scheduler::scheduled_entry;
using test::action_of;
using test::expect;
using test::walk_step;

namespace {

/// Nobody listens: failures are taken from the state.
class deaf_sink final : public scheduler::sink {
public:
    void fail(error) override {}
    bool abandoned() const noexcept override { return false; }
};

/// What a test knows of a request that waits.
struct waiting_request {
    std::string adapter;
    std::uint32_t input;
    std::uint32_t output;
    bool needs_proof;
    std::uint32_t times_passed = 0;  // by younger ones, while it was the oldest to run
    std::optional<scheduler::time_point> passed_since = std::nullopt;
};

class scheduler_world {
public:
    explicit scheduler_world(std::uint64_t seed)
        : settings_(settings_of(seed)), limits_(limits_of(seed)), state_(settings_, limits_) {}

    static std::string name(const walk_step& s) { return action_of(actions(), s).name; }

    void take(const walk_step& s) {
        now_ += 1ms;
        action_of(actions(), s).take(*this, s);
        check();
    }

    void finish() { settle(); }

private:
    static std::span<const test::walk_action<scheduler_world>> actions() {
        using world = scheduler_world;
        using step = const walk_step&;
        static constexpr test::walk_action<world> all[] = {
            {"submit", 4, [](world& w, step s) { w.submit(s); }},
            {"cancel", 1, [](world& w, step s) { w.cancel(s); }},
            {"form", 2, [](world& w, step s) { w.form(s); }},
            {"give back", 1, [](world& w, step s) { w.give_back(s); }},
            {"end", 2, [](world& w, step s) { w.end(s.a); }},
            {"start", 1, [](world& w, step s) { w.start_calls(1 + s.a % 4); }},
            {"finish", 1, [](world& w, step s) { w.finish_call(s.a, s.b % 6 != 0); }},
            {"pass", 1, [](world& w, step s) { w.now_ += std::chrono::milliseconds{s.a % 1500}; }},
            {"lose",
             1,
             [](world& w, step s) {
                 if (s.a % 16 == 0) w.lose_shards(s);
             }},
            {"settle",
             1,
             [](world& w, step s) {
                 if (s.a % 16 == 0) w.settle();
             }},
        };
        return all;
    }

    static scheduler::scheduler_settings settings_of(std::uint64_t seed) {
        scheduler::scheduler_settings s;
        s.max_overtakes = 4;
        s.max_heads_passed = 1 + seed % 4;
        s.prefix_caching = seed % 5 < 3;
        if (seed % 11 < 4) s.prefix_cache_salt = scheduler::prefix_salt::tenant;
        s.cycle_time = 100ms;
        if (seed % 2 == 0) s.max_batch_size = 1 + seed / 2 % 6;
        s.adapters.max_active_adapters = 1 + seed % 3;
        s.adapters.cycle_time = 100ms;
        s.adapters.first_backoff = 50ms;
        s.adapters.last_backoff = 200ms;
        s.adapters.proof_lifetime = 1s;
        s.adapters.max_known_adapters = 3;
        return s;
    }

    static scheduler::shard_limits limits_of(std::uint64_t seed) {
        scheduler::shard_limits l;
        l.model = static_cast<cost_model>(seed % 3);
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

    void submit(const walk_step& s) {
        waiting_request w{adapter_of(s.a), 1 + s.b % 110, s.c % 120, s.a % 8 == 6};
        submit(next_id_++, w);
    }

    static std::string adapter_of(std::uint32_t number) {
        static const char* const some[] = {"", "a", "b", "c", "d", "e", "private", "preloaded"};
        return some[number % 8];
    }

    void submit(request_id id, const waiting_request& w) {
        auto request = std::make_shared<inference::request>();
        request->input_length = w.input;
        for (std::uint32_t i = 0; i < w.input; ++i) {  // prompts that begin alike, and part
            request->input_ids.push_back(i < 25 + w.output % 3 * 20 ? i : w.output);
        }
        request->prefill_logprobs = w.output % 7 == 0;
        request->stopping.max_new_tokens = w.output;
        auto ref = std::make_shared<adapter::adapter_ref>();
        if (!w.adapter.empty()) ref->what.ids = {w.adapter};
        ref->from = w.needs_proof ? adapter::source::hub : adapter::source::local;
        ref->api_token = id % 2 == 0 ? "one" : "two";
        entry e;
        e.id = id;
        e.what = std::move(request);
        e.adapter = std::move(ref);
        e.to = sink_;
        e.admission = std::move(*permits_.try_acquire());
        e.created = now_;
        waiting_[id] = w;
        state_.submit(std::move(e), now_);
        take_failed();
    }

    void cancel(const walk_step& s) {
        const auto id = next_id_ == 0 ? 0 : s.a % next_id_;
        expect(state_.cancel(id) == (waiting_.erase(id) > 0), "cancel is wrong about who waits");
    }

    /// A batch within budgets; beside a running one perhaps a minimum size or less than is left.
    void form(const walk_step& s) {
        if (running_.empty()) {
            form(std::nullopt, limits_.prefill_token_budget, limits_.total_token_budget);
            return;
        }
        std::optional<std::size_t> min_size;
        if (s.c % 4 == 0) min_size = s.c / 4 % 4;
        const auto prefill = s.a % 2 == 0 ? limits_.prefill_token_budget : s.a % 120;
        const auto used = state_.running_cost().total();
        auto total =
            limits_.total_token_budget - std::min<std::uint64_t>(used, limits_.total_token_budget);
        if (s.b % 2 == 1) total = std::min<std::uint64_t>(total, s.b % 300);
        form(min_size, prefill, static_cast<std::uint32_t>(total));
    }

    std::size_t form(
        std::optional<std::size_t> min_size, std::uint32_t prefill, std::uint32_t total) {
        const auto before = state_.running_cost().total();
        auto batch = state_.next_batch(in_use(), min_size, prefill, total, now_);
        const auto size = batch.size();
        expect(!min_size || size == 0 || waiting_.size() >= *min_size, "below the minimum size");
        expect(
            !settings_.max_batch_size || running_.size() + size <= *settings_.max_batch_size,
            "more run than max_batch_size allows");
        expect(
            limits_.model == cost_model::blocks ||
                state_.running_cost().total() <= before + total || size == 0,
            "the total budget is passed");
        scheduler::batch_cost cost{limits_.model};
        for (const auto& e : batch) {
            cost.add(e.prefill_tokens(), e.what.what->stopping.max_new_tokens);
        }
        expect(size == 0 || cost.prefill() <= prefill, "the prefill budget is passed");
        for (const auto& e : batch) check_taken(e);
        check_order(batch);
        for (auto& e : batch) {
            waiting_.erase(e.what.id);
            running_.push_back(std::move(e));
        }
        return size;
    }

    void check_taken(const scheduled_entry& e) const {
        const auto found = waiting_.find(e.what.id);
        expect(found != waiting_.end(), "a request that does not wait was taken");
        const auto& w = found->second;
        expect(state_.adapters().is_ready(e.key), "taken though its adapter is not ready");
        expect(e.adapter_index == state_.adapters().index(e.key), "another adapter's index");
        if (w.adapter.empty()) expect(e.key == adapter::base_key, "the base model has another key");
        if (w.adapter == "preloaded" && !limits_.preloaded.empty()) {
            expect(e.adapter_index == limits_.preloaded[0].index, "not the preloaded index");
        }
        expect(e.blocks.has_value() == (limits_.model == cost_model::blocks), "blocks or none");
        const auto to_compute = w.input - e.cached_tokens();
        expect(e.cached_tokens() < w.input, "no token of a prompt was left to compute");
        expect(
            !e.chunk_len || limits_.cuts_prompts(), "a prompt was cut for shards without chunks");
        expect(!e.chunk_len || *e.chunk_len > 0, "a prompt was cut to nothing");
        expect(!e.chunk_len || *e.chunk_len < to_compute, "a prompt was cut to all of it");
        const bool may_read = settings_.prefix_caching && !e.what.what->prefill_logprobs;
        expect(
            may_read || e.cached_tokens() == 0, "a prompt came from the cache against the rules");
    }

    /// Rules 1 and 3. Requests that wait for a proof are no part of either.
    void check_order(const std::vector<scheduled_entry>& batch) {
        std::set<request_id> taken;
        std::set<std::string> ready{""};
        for (const auto& e : batch) taken.insert(e.what.id);
        for (const auto& e : batch) ready.insert(waiting_.at(e.what.id).adapter);
        for (const auto& r : running_) ready.insert(adapter_name(r));
        for (const auto& e : batch) {
            const auto& w = waiting_.at(e.what.id);
            if (w.needs_proof) continue;
            for (const auto& [id, other] : waiting_) {
                if (id >= e.what.id) break;
                expect(
                    other.adapter != w.adapter || taken.contains(id),
                    "a younger request of the same adapter went first");
            }
        }
        // The oldest of base and preloaded, which can always run.
        for (auto& [id, w] : waiting_) {
            const bool is_preloaded = w.adapter == "preloaded" && !limits_.preloaded.empty();
            if (!w.adapter.empty() && !is_preloaded) continue;
            if (taken.contains(id)) return;
            const auto younger =
                static_cast<std::uint32_t>(std::distance(taken.upper_bound(id), taken.end()));
            if (younger == 0) return;
            expect(w.times_passed < settings_.max_overtakes, "passed more often than allowed");
            expect(
                !w.passed_since || now_ - *w.passed_since < settings_.max_overtake_wait,
                "passed for longer than allowed");
            if (!is_oldest_that_may_run(id)) return;
            w.times_passed += younger;
            if (!w.passed_since) w.passed_since = now_;
            return;
        }
    }

    /// No older one of an adapter could be the one that the state counts instead.
    bool is_oldest_that_may_run(request_id id) const { return waiting_.begin()->first == id; }

    static std::string adapter_name(const scheduled_entry& e) {
        const auto& ids = e.what.adapter->what.ids;
        return ids.empty() ? std::string{} : ids[0];
    }

    std::vector<adapter_key> in_use() const {
        std::vector<adapter_key> keys;
        for (const auto& r : running_) keys.push_back(r.key);
        std::ranges::sort(keys);
        keys.erase(std::ranges::unique(keys).begin(), keys.end());
        return keys;
    }

    /// The last batch was never sent.
    void give_back(const walk_step& s) {
        const auto count = running_.empty() ? 0 : s.a % running_.size();
        std::vector<entry> unused;
        for (std::size_t i = 0; i < count; ++i) {
            auto e = std::move(running_.back());
            running_.pop_back();
            remember(e);
            e.blocks.reset();
            unused.push_back(std::move(e.what));
        }
        state_.give_back(std::move(unused), now_);
        take_failed();
    }

    void remember(const scheduled_entry& e) {
        const auto& what = *e.what.what;
        const auto adapter = adapter_name(e);
        waiting_request w{
            adapter, what.input_length, what.stopping.max_new_tokens, adapter == "private"};
        w.times_passed = e.what.overtakes;
        w.passed_since = e.what.overtaken_since;
        waiting_[e.what.id] = w;
    }

    void end(std::uint32_t which) {
        if (running_.empty()) return;
        const auto at = running_.begin() + which % running_.size();
        if (at->blocks && which % 3 > 0) at->blocks->confirm(at->what.what->input_ids);
        const auto what = at->what.what;
        running_.erase(at);
        state_.ended(what->input_length, what->stopping.max_new_tokens);
    }

    void start_calls(std::size_t limit) {
        for (auto& c : state_.due(now_, limit)) open_.push_back(std::move(c));
        take_failed();
    }

    void finish_call(std::uint32_t which, bool succeeds) {
        if (open_.empty()) return;
        const auto at = open_.begin() + which % open_.size();
        const auto done = *at;
        open_.erase(at);
        result<adapter::memory_share> outcome = 300'000U;
        if (!succeeds) outcome = error{errc::rpc_failed, "no"};
        state_.finished(done.id, outcome, now_);
        take_failed();
    }

    /// What runs is queued again; the shards come back with other budgets.
    void lose_shards(const walk_step& s) {
        while (!running_.empty()) {
            auto e = std::move(running_.back());
            running_.pop_back();
            const auto what = e.what.what;
            remember(e);
            const auto id = e.what.id;
            e.blocks.reset();
            state_.ended(what->input_length, what->stopping.max_new_tokens);
            state_.submit(std::move(e.what), now_);
            take_failed();
            if (s.c % 2 == 0) {
                state_.cancel(id);
                waiting_.erase(id);
            }
        }
        open_.clear();
        limits_.prefill_token_budget = 20 + s.a / 16 % 100;
        limits_.total_token_budget = 60 + s.b % 300;
        // The preloaded adapter moves, or is preloaded no more.
        if (s.b % 5 == 0) limits_.preloaded.clear();
        for (auto& p : limits_.preloaded) p.index = 1 + s.b % 4;
        state_.shards_changed(limits_, now_);
        take_failed();
        for (const auto& [id, w] : waiting_) {
            expect(
                w.input <= limits_.prefill_token_budget || limits_.cuts_prompts(),
                "one that can never fit is queued");
            expect(
                w.input + w.output <= limits_.total_token_budget, "one that can never fit waits");
        }
    }

    void take_failed() {
        for (auto& [e, why] : state_.take_failed()) {
            expect(waiting_.erase(e.id) == 1, "a request failed that did not wait");
            expect(!why.detail.empty(), "a request failed without a word");
        }
    }

    /// Everything succeeds, and the scheduler is asked only when it says so: all get their turn.
    void settle() {
        for (int round = 0; !waiting_.empty(); ++round) {
            expect(
                round < 400,
                "request " + std::to_string(waiting_.begin()->first) + " waits for ever for '" +
                    waiting_.begin()->second.adapter + "'");
            now_ += 110ms;
            start_calls(64);
            while (!open_.empty()) finish_call(0, true);
            // As the engine does: when nothing runs any more, then when there is something new.
            for (bool has_run = true; has_run || state_.runnable();) {
                while (!running_.empty()) end(0);
                const auto size =
                    form(std::nullopt, limits_.prefill_token_budget, limits_.total_token_budget);
                has_run = size > 0;
                if (!waiting_.empty()) continue;
                while (!running_.empty()) end(0);
                expect(!state_.runnable(), "runnable though nobody waits");
            }
        }
        while (!running_.empty()) end(0);
    }

    void check() const {
        expect(state_.waiting() == waiting_.size(), "the number of waiting requests is wrong");
        expect(state_.running() == running_.size(), "the number of running requests is wrong");
        expect(permits_.in_use() == waiting_.size() + running_.size(), "permits do not add up");
        scheduler::batch_cost cost{limits_.model};
        for (const auto& r : running_) {
            cost.add(r.what.what->input_length, r.what.what->stopping.max_new_tokens);
        }
        expect(state_.running_cost().total() == cost.total(), "the running cost is wrong");
        check_blocks();
    }

    /// Each block is free, cached or used; what one writes, nobody else holds.
    void check_blocks() const {
        const auto counts = state_.blocks();
        expect(counts.has_value() == (limits_.model == cost_model::blocks), "counts or none");
        if (!counts) return;
        std::set<std::uint32_t> all;
        std::set<std::uint32_t> written;    // from now on, or until its prompt was computed
        std::set<std::uint32_t> only_mine;  // behind its prompt
        std::map<std::uint32_t, std::size_t> holders;
        for (const auto& r : running_) {
            const auto blocks = r.blocks->blocks();
            const auto cached = r.cached_tokens() / limits_.block_size;
            // An answer of no tokens, which only this test asks for, leaves the last one unwritten.
            const auto whole = std::min<std::size_t>(
                r.what.what->input_length / limits_.block_size, blocks.size());
            all.insert(blocks.begin(), blocks.end());
            for (const auto b : blocks) ++holders[b];
            for (const auto b : blocks.subspan(cached)) {
                expect(written.insert(b).second, "two requests write a block");
            }
            for (const auto b : blocks.subspan(std::max<std::size_t>(cached, whole))) {
                only_mine.insert(b);
            }
        }
        for (const auto b : only_mine) expect(holders[b] == 1, "a block of answers is shared");
        expect(!all.contains(0), "the block of health checks was given out");
        const auto usable = limits_.total_token_budget / limits_.block_size - 1;
        expect(counts->free + counts->cached + counts->used == usable, "blocks do not add up");
        expect(counts->used >= all.size(), "a block is held and counted as free");
        expect(!running_.empty() || counts->used == 0, "blocks are used by nobody");
        expect(settings_.prefix_caching || counts->cached == 0, "cached against the settings");
    }

    scheduler::admission permits_{1'000'000};
    std::shared_ptr<deaf_sink> sink_ = std::make_shared<deaf_sink>();
    scheduler::scheduler_settings settings_;
    scheduler::shard_limits limits_;
    scheduler::scheduler_state state_;
    scheduler::time_point now_{1h};
    request_id next_id_ = 0;
    std::map<request_id, waiting_request> waiting_;
    std::vector<scheduled_entry> running_;
    std::vector<adapter::call> open_;
};

}  // namespace

TEST_CASE("scheduler: no walk loses a request or breaks a rule", "[scheduler][property]") {
    test::random_walks<scheduler_world>("scheduler_state", {.walks = 700, .steps = 1000});
}
