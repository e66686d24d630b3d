// The scheduler under random requests, batches, adapter calls, deadlines and losses of shards:
// whatever happens, each request leaves exactly once, and the rules of design section 5 hold.
#include "unit/scheduler/walk/block_check.hpp"
#include "unit/scheduler/walk/random_requests.hpp"
#include "unit/scheduler/walk/waiting_model.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <numeric>
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

class scheduler_walk {
public:
    explicit scheduler_walk(std::uint64_t seed)
        : settings_(test::random_settings(seed)),
          limits_(test::random_limits(seed)),
          state_(settings_, limits_),
          waiting_(settings_) {}

    static std::string name(const walk_step& s) { return action_of(actions(), s).name; }

    void take(const walk_step& s) {
        now_ += 1ms;
        action_of(actions(), s).take(*this, s);
        expire();
        check();
    }

    void finish() { settle(); }

private:
    using known = test::waiting_model::one;

    static std::span<const test::walk_action<scheduler_walk>> actions() {
        using walk = scheduler_walk;
        using step = const walk_step&;
        static constexpr test::walk_action<walk> all[] = {
            {"submit", 40, [](walk& w, step s) { w.submit(s); }},
            {"cancel", 10, [](walk& w, step s) { w.cancel(s.a); }},
            {"form", 20, [](walk& w, step s) { w.form(s); }},
            {"form pooled", 5, [](walk& w, step s) { w.form_pooled(s); }},
            {"give back", 10, [](walk& w, step s) { w.give_back(s.a); }},
            {"end", 20, [](walk& w, step s) { w.end(s.a); }},
            {"drain", 3, [](walk& w, step) { w.drain(); }},
            {"start", 10, [](walk& w, step s) { w.start_calls(1 + s.a % 4); }},
            {"finish", 10, [](walk& w, step s) { w.finish_call(s.a, s.b % 6 != 0); }},
            {"pass", 10, [](walk& w, step s) { w.now_ += std::chrono::milliseconds{s.a % 1500}; }},
            {"lose", 1, [](walk& w, step s) { w.lose_shards(s); }},
            {"settle", 1, [](walk& w, step) { w.settle(); }},
        };
        return all;
    }

    void submit(const walk_step& s) {
        const auto id = next_id_++;
        const auto r = test::random_request(s, now_);
        waiting_.add(id, known{r});
        state_.submit(test::make_entry(id, r, permits_, now_), now_);
        take_failed();
        expect(
            !test::can_never_fit(r, limits_) || !waiting_.all().contains(id),
            "one that can never fit is queued");
    }

    void cancel(std::uint32_t which) {
        const auto id = next_id_ == 0 ? 0 : which % next_id_;
        expect(state_.cancel(id) == waiting_.remove(id), "cancel is wrong about who waits");
    }

    /// A batch within budgets; beside a running one perhaps a minimum size, or less than is left,
    /// as when a step with chunks takes all of the prefill budget.
    void form(const walk_step& s) {
        if (running_.empty()) {
            form_whole();
            return;
        }
        scheduler::join_terms terms;
        if (s.c % 4 == 0) terms.min_size = s.c / 4 % 4;
        if (s.c % 4 == 1) terms.weigh = {running_.size(), 10ms, 20ms, 0.1F};
        const auto prefill = s.a % 2 == 0 ? limits_.prefill_token_budget : s.a / 2 % 120;
        const auto used = state_.running_cost().total();
        auto total =
            limits_.total_token_budget - std::min<std::uint64_t>(used, limits_.total_token_budget);
        if (s.b % 2 == 1) total = std::min<std::uint64_t>(total, s.b % 300);
        form(terms, prefill, static_cast<std::uint32_t>(total));
    }

    std::size_t form_whole() {
        return form({}, limits_.prefill_token_budget, limits_.total_token_budget);
    }

    std::size_t form(
        const scheduler::join_terms& terms, std::uint32_t prefill, std::uint32_t total) {
        pooled_.clear();  // what it computed was answered
        const bool is_drained = running_.empty() && !holds_pooled_back_;
        const auto ready = ready_adapters();
        const auto could = state_.schedulable();
        const auto before = state_.running_cost().total();
        auto batch = state_.next_batch(in_use(), terms, prefill, total, now_);
        const auto size = batch.size();
        expect(!terms.min_size || size == 0 || could >= *terms.min_size, "below the minimum size");
        expect(
            !settings_.max_batch_size || running_.size() + size <= *settings_.max_batch_size,
            "more run than max_batch_size allows");
        expect(
            limits_.model == cost_model::blocks ||
                state_.running_cost().total() <= before + total || size == 0,
            "the total budget is passed");
        check_prefill(batch, prefill);
        for (const auto& e : batch) check_taken(e);
        auto what = waiting_.take(batch, ready, is_drained, now_);
        for (std::size_t i = 0; i < size; ++i) {
            known_[batch[i].what.id] = std::move(what[i]);
            running_.push_back(std::move(batch[i]));
        }
        return size;
    }

    /// One call for those that do not generate; sent, or given back.
    std::size_t form_pooled(const walk_step& s) {
        pooled_.clear();
        const auto ready = ready_adapters();
        auto batch = state_.next_pooled_batch(in_use(), limits_.prefill_token_budget, now_);
        scheduler::batch_cost cost{limits_.model};
        for (const auto& e : batch) cost.add(e.what.what->input_length, 0);
        expect(cost.prefill() <= limits_.prefill_token_budget, "the prefill budget is passed");
        for (const auto& e : batch) check_taken(e);
        auto what = waiting_.take_pooled(batch, ready);
        // Only those that got nothing, with blocks, can come to hold others back.
        holds_pooled_back_ = batch.empty() && limits_.model == cost_model::blocks;
        for (std::size_t i = 0; i < batch.size(); ++i) {
            known_[batch[i].what.id] = std::move(what[i]);
        }
        if (s.c % 4 == 0) {
            give_back(batch);
            return 0;
        }
        pooled_ = std::move(batch);
        return pooled_.size();
    }

    void check_prefill(const std::vector<scheduled_entry>& batch, std::uint32_t prefill) const {
        scheduler::batch_cost cost{limits_.model};
        for (const auto& e : batch) {
            cost.add(e.prefill_tokens(), e.what.what->stopping.max_new_tokens);
        }
        expect(batch.empty() || cost.prefill() <= prefill, "the prefill budget is passed");
        const bool has_cut = std::ranges::any_of(
            batch, [](const scheduled_entry& e) { return e.chunk_len.has_value(); });
        expect(!has_cut || cost.prefill() == prefill, "a prompt was cut shorter than it had to be");
    }

    void check_taken(const scheduled_entry& e) const {
        const auto& w = waiting_.all().at(e.what.id);
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
            !e.chunk_len || (limits_.cuts_prompts() && w.generates()),
            "a prompt was cut against the rules");
        expect(!e.chunk_len || *e.chunk_len > 0, "a prompt was cut to nothing");
        expect(!e.chunk_len || *e.chunk_len < to_compute, "a prompt was cut to all of it");
        const bool may_read =
            settings_.prefix_caching && w.generates() && !e.what.what->prefill_logprobs;
        expect(
            may_read || e.cached_tokens() == 0, "a prompt came from the cache against the rules");
    }

    std::set<std::string> ready_adapters() const {
        std::set<std::string> ready{""};
        for (const auto& a : state_.adapters().known(100)) {
            if (a.state == adapter::adapter_state::ready) ready.insert(a.ids.front());
        }
        return ready;
    }

    std::vector<adapter_key> in_use() const {
        std::vector<adapter_key> keys;
        for (const auto& r : running_) keys.push_back(r.key);
        std::ranges::sort(keys);
        keys.erase(std::ranges::unique(keys).begin(), keys.end());
        return keys;
    }

    /// The last batch was never sent.
    void give_back(std::uint32_t how_many) {
        const auto count = running_.empty() ? 0 : how_many % running_.size();
        std::vector<scheduled_entry> unused;
        for (std::size_t i = 0; i < count; ++i) {
            unused.push_back(std::move(running_.back()));
            running_.pop_back();
        }
        give_back(unused);
    }

    void give_back(std::vector<scheduled_entry>& unused) {
        std::vector<entry> back;
        for (auto& e : unused) {
            wait_again(e.what);
            e.blocks.reset();
            back.push_back(std::move(e.what));
        }
        state_.give_back(std::move(back), now_);
        take_failed();
    }

    void wait_again(const entry& e) {
        auto w = std::move(known_.extract(e.id).mapped());
        w.times_passed = e.overtakes;
        w.passed_since = e.overtaken_since;
        waiting_.add(e.id, std::move(w));
    }

    void end(std::uint32_t which) {
        if (running_.empty()) return;
        const auto at = running_.begin() + which % running_.size();
        if (at->blocks && which % 3 > 0) at->blocks->confirm(at->what.what->input_ids);
        const auto what = at->what.what;
        const auto share = at->what.share;
        known_.erase(at->what.id);
        running_.erase(at);
        const auto most = what->stopping.max_new_tokens;
        state_.ended(what->input_length, most, share, most == 0 ? 0 : which % most);
    }

    void end_all() {
        while (!running_.empty()) end(0);
    }

    /// From any state: what runs ends, and with whole budgets the oldest has its turn.
    void drain() {
        end_all();
        form_pooled({0, 0, 0, 1});
        form_whole();
    }

    void start_calls(std::size_t limit) {
        for (auto& c : state_.due(now_, limit)) {
            const auto names = [&c](const scheduled_entry& e) { return e.key == c.key; };
            expect(
                c.kind != adapter::call_kind::offload ||
                    (std::ranges::none_of(running_, names) && std::ranges::none_of(pooled_, names)),
                "an adapter that runs is offloaded");
            open_.push_back(std::move(c));
        }
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
        pooled_.clear();
        while (!running_.empty()) {
            auto e = std::move(running_.back());
            running_.pop_back();
            const auto what = e.what.what;
            wait_again(e.what);
            const auto id = e.what.id;
            e.blocks.reset();
            state_.ended(what->input_length, what->stopping.max_new_tokens, e.what.share, 0);
            state_.submit(std::move(e.what), now_);
            take_failed();
            if (s.c % 2 == 0 && state_.cancel(id)) waiting_.remove(id);
        }
        open_.clear();
        holds_pooled_back_ = false;
        limits_.prefill_token_budget = 20 + s.a / 16 % 100;
        limits_.total_token_budget = 60 + s.b % 300;
        // The preloaded adapter moves, or is preloaded no more.
        if (s.b % 5 == 0) limits_.preloaded.clear();
        for (auto& p : limits_.preloaded) p.index = 1 + s.b % 4;
        state_.shards_changed(limits_, now_);
        take_failed();
        for (const auto& [id, w] : waiting_.all()) {
            expect(!test::can_never_fit(w, limits_), "one that can never fit waits");
        }
    }

    void take_failed() {
        for (auto& [e, why] : state_.take_failed()) {
            const auto found = waiting_.all().find(e.id);
            expect(found != waiting_.all().end(), "a request failed that did not wait");
            const auto& w = found->second;
            expect(!why.detail.empty(), "a request failed without a word");
            expect(
                why.code != errc::validation || test::can_never_fit(w, limits_),
                "refused for its size though it fits");
            const bool may_time_out = w.deadline || settings_.queue_timeout > 0ms;
            expect(why.code != errc::timeout || may_time_out, "it timed out without a deadline");
            waiting_.remove(e.id);
        }
    }

    void expire() {
        state_.expire(now_);
        take_failed();
        for (const auto& [id, w] : waiting_.all()) {
            expect(!w.deadline || *w.deadline > now_, "one waits beyond its deadline");
        }
    }

    /// Everything succeeds, and the scheduler is asked only when it says so: all get their turn.
    void settle() {
        for (int round = 0; waiting_.size() > 0; ++round) {
            const auto& [id, w] = *waiting_.all().begin();
            expect(
                round < 400,
                "request " + std::to_string(id) + " waits for ever for '" + w.adapter + "'");
            now_ += 110ms;
            start_calls(64);
            while (!open_.empty()) finish_call(0, true);
            // As the engine does: when nothing runs any more, then when there is something new.
            for (bool has_run = true; has_run || state_.runnable();) {
                end_all();
                const auto generating = form_whole();
                has_run = form_pooled({0, 0, 0, 1}) + generating > 0;
                if (waiting_.size() > 0) continue;
                end_all();
                expect(!state_.runnable(), "runnable though nobody waits");
            }
            expire();
        }
        end_all();
    }

    void check_shares() const {
        const auto counted = state_.shares().all();
        const auto waiting = std::ranges::count_if(
            waiting_.all(), [](const auto& w) { return w.second.generates(); });
        expect(counted.waiting == static_cast<std::size_t>(waiting), "who waits, by shares");
        expect(counted.open == state_.schedulable(), "who may be scheduled, by shares");
        expect(counted.running == running_.size(), "who runs, by shares");
    }

    void check() const {
        expect(state_.waiting() == waiting_.size(), "the number of waiting requests is wrong");
        expect(state_.running() == running_.size(), "the number of running requests is wrong");
        expect(
            permits_.in_use() == waiting_.size() + running_.size() + pooled_.size(),
            "permits do not add up");
        const auto reasons = state_.count_by_reason();
        expect(
            std::accumulate(reasons.begin(), reasons.end(), std::size_t{0}) == waiting_.size(),
            "one waits for no reason, or for two");
        scheduler::batch_cost cost{limits_.model};
        for (const auto& r : running_) {
            cost.add(r.what.what->input_length, r.what.what->stopping.max_new_tokens);
        }
        expect(state_.running_cost().total() == cost.total(), "the running cost is wrong");
        if (settings_.is_fair) check_shares();
        test::check_blocks(state_.blocks(), limits_, settings_.prefix_caching, running_, pooled_);
    }

    scheduler::admission permits_{1'000'000};
    scheduler::scheduler_settings settings_;
    scheduler::shard_limits limits_;
    scheduler::scheduler_state state_;
    scheduler::time_point now_{1h};
    request_id next_id_ = 0;
    test::waiting_model waiting_;
    std::map<request_id, known> known_;  // of those that run
    std::vector<scheduled_entry> running_;
    std::vector<scheduled_entry> pooled_;  // in a call of their own
    bool holds_pooled_back_ = false;       // perhaps: others may wait until they had their turn
    std::vector<adapter::call> open_;
};

}  // namespace

TEST_CASE("scheduler: no walk loses a request or breaks a rule", "[scheduler][property]") {
    test::random_walks<scheduler_walk>("scheduler_state", {.walks = 1000, .steps = 1000});
}
