// The adapter table under random requests, outcomes and losses, seen from outside: what the owner
// of the queues and the shards would notice if a rule of design section 6 did not hold.
#include "support/random_walk.hpp"
#include "truffula/adapter/adapter_table.hpp"

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
using adapter::adapter_state;
using adapter::call_kind;
using test::action_of;
using test::expect;
using test::walk_step;

namespace {

/// A request that waits, or runs.
struct guest {
    adapter_key key;
    adapter::credential pending;
    adapter::time_point since;
};

/// What an adapter has gone through, as its events told.
struct history {
    std::string name;
    adapter::source from = adapter::source::hub;
    adapter::memory_share share = 0;
    std::set<std::string> proven;  // tokens whose last download succeeded
    bool has_weights = false;      // on the shards' disks
    std::uint64_t brought_by = 0;  // the call that gets them there
    bool is_ready = false;
    bool was_served = false;
    adapter::time_point ready_since;
};

class table_world {
public:
    explicit table_world(std::uint64_t seed)
        : settings_(settings_of(seed)), were_up_(seed % 3 == 0) {
        make_shards();
        table_.emplace(settings_, preloaded_, were_up_);
    }

    static std::string name(const walk_step& s) { return action_of(actions(), s).name; }

    void take(const walk_step& s) {
        now_ += 1ms;
        action_of(actions(), s).take(*this, s);
        check();
    }

    void finish() { settle(); }

private:
    static std::span<const test::walk_action<table_world>> actions() {
        using world = table_world;
        using step = const walk_step&;
        static constexpr test::walk_action<world> all[] = {
            {"arrive", 3, [](world& w, step s) { w.arrive(s); }},
            {"leave", 1, [](world& w, step s) { w.leave(s); }},
            {"serve", 2, [](world& w, step s) { w.serve(s); }},
            {"end", 2, [](world& w, step s) { w.end(s); }},
            {"start", 2, [](world& w, step s) { w.start_calls(1 + s.a % 3); }},
            {"finish", 2, [](world& w, step s) { w.finish_call(s.a, s.b % 4 != 0, s.c); }},
            {"pass", 1, [](world& w, step s) { w.now_ += std::chrono::milliseconds{s.a % 400}; }},
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

    static adapter::table_settings settings_of(std::uint64_t seed) {
        adapter::table_settings s;
        s.max_active_adapters = 1 + seed % 4;
        s.cycle_time = 50ms;
        s.download_concurrency = 1 + seed % 3;
        s.load_concurrency = 1 + seed / 3 % 2;
        s.proof_lifetime = 1s;
        s.first_backoff = 100ms;
        s.last_backoff = 400ms;
        s.max_known_adapters = 2 + seed % 3;
        s.max_downloads_per_tenant = 1 + seed % 5;
        s.shares_slots = seed / 12 % 2 == 1;
        s.tenant_weights = {{"blue", 2.0}};
        return s;
    }

    /// New shards: with an earlier router's adapters at every index, if they were up.
    void make_shards() {
        occupied_.clear();
        if (were_up_) {
            for (std::uint32_t i = 1; i < 200; ++i) occupied_[i] = "an earlier router's";
        }
        preloaded_.clear();
        adapter::adapter_table::preloaded_adapter p;
        p.what.ids = {"preloaded"};
        p.index = preloaded_index_;
        if (preloaded_index_ == 0) return;
        preloaded_.push_back(p);
        occupied_[preloaded_index_] = "preloaded";
    }

    void arrive(const walk_step& s) {
        static const char* const tokens[] = {"", "one", "two"};
        static const char* const tenants[] = {"red", "blue"};
        adapter::adapter_ref ref;
        const auto which = s.a % 9;
        if (which == 8) ref.what.ids = {"preloaded"};
        if (which < 8) ref.what.ids = {std::string(1, static_cast<char>('a' + which))};
        ref.from = static_cast<adapter::source>(which % 4);
        ref.api_token = tokens[s.b % 3];
        ref.tenant = tenants[s.c % 2];
        const bool is_preloaded = which == 8 && preloaded_index_ != 0;
        const auto joined = table_->join(ref, now_);
        if (!joined) return;
        auto& h = history_[joined->key];
        auto identity = ref.what.ids[0];
        if (ref.from == adapter::source::pbase) identity += " for " + ref.api_token;
        expect(h.name.empty() || h.name == identity, "two adapters share a key");
        h.name = identity;
        h.from = ref.from;
        if (is_preloaded) {
            expect(joined->pending == 0, "a preloaded adapter waits for a proof");
            expect(table_->index(joined->key) == preloaded_index_, "not the preloaded index");
            h.is_ready = true;
        }
        if (joined->pending == 0 && !is_preloaded && needs_proof(h)) {
            expect(h.proven.contains(ref.api_token), "a token counts as proven that is not");
        }
        waiting_.push_back({joined->key, joined->pending, now_});
        report(joined->key, joined->pending);
    }

    static bool needs_proof(const history& h) {
        return h.from == adapter::source::hub || h.from == adapter::source::pbase;
    }

    void leave(const walk_step& s) {
        if (waiting_.empty()) return;
        const auto at = waiting_.begin() + s.a % waiting_.size();
        const auto gone = *at;
        waiting_.erase(at);
        report(gone.key, gone.pending);
    }

    /// One adapter that is ready gives up to three requests to a batch.
    void serve(const walk_step& s) {
        std::size_t taken = 0;
        std::optional<adapter_key> key;
        const auto start = waiting_.empty() ? 0 : s.a % waiting_.size();
        for (std::size_t i = start; i < waiting_.size() && taken < 1 + s.b % 3;) {
            const auto& g = waiting_[i];
            if ((key && g.key != *key) || g.pending != 0 || !table_->is_ready(g.key)) {
                ++i;
                continue;
            }
            key = g.key;
            running_.push_back(g);
            waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
            ++taken;
        }
        if (!key) return;
        history_[*key].was_served = true;
        table_->served(*key);
        report(*key, 0);
        report_running(*key);
    }

    void end(const walk_step& s) {
        if (running_.empty()) return;
        const auto at = running_.begin() + s.a % running_.size();
        const auto key = at->key;
        running_.erase(at);
        report_running(key);
    }

    void start_calls(std::size_t limit) {
        adapter::changes c;
        const auto calls = table_->due(now_, limit, c);
        expect(calls.size() <= limit, "more calls than asked for");
        for (const auto& what : calls) note_started(what);
        for (const auto key : c.no_longer_ready) check_eviction(key);
        apply(c);
    }

    void note_started(const adapter::call& what) {
        auto& h = history_.at(what.key);
        for (const auto& open : open_) {
            if (open.key != what.key) continue;
            const bool is_proof = what.kind == call_kind::download && open.id != h.brought_by;
            expect(
                is_proof || open.kind == call_kind::download,
                "two calls for " + h.name + " overlap that must not");
        }
        if (what.kind == call_kind::download && !h.has_weights) h.brought_by = what.id;
        expect(what.index == table_->index(what.key), "a call names another index");
        expect(what.index != 0, "the base model's index is used");
        expect(what.index != preloaded_index_, "the preloaded adapter's index is used");
        if (what.kind == call_kind::load) {
            const auto there = occupied_.find(what.index);
            expect(there == occupied_.end(), "a load into an index that is not free");
            occupied_[what.index] = h.name;
            if (needs_proof(h) && !h.proven.empty()) {
                expect(h.proven.contains(what.api_token), "a load without a proven token");
            }
        }
        if (what.kind == call_kind::offload) {
            expect(running(what.key) == 0, "an offload while a batch names " + h.name);
            expect(what.api_token.empty(), "an offload carries a token");
        }
        open_.push_back(what);
    }

    /// Nobody is driven out without need, before its time, or before it served.
    void check_eviction(adapter_key key) {
        const auto& h = history_.at(key);
        bool is_wanted = false;
        for (const auto& g : waiting_) {
            const auto state = table_->state(g.key);
            is_wanted =
                is_wanted || state == adapter_state::downloaded || state == adapter_state::loading;
        }
        expect(is_wanted, h.name + " has to go though nobody needs its slot");
        if (waiting(key) == 0 && running(key) == 0) return;
        expect(h.ready_since + settings_.cycle_time / 2 <= now_, h.name + " has to go too early");
        expect(waiting(key) == 0 || h.was_served, h.name + " has to go before it served");
    }

    void finish_call(std::uint32_t which, bool succeeds, std::uint32_t number) {
        if (open_.empty()) return;
        const auto at = open_.begin() + which % open_.size();
        const auto done = *at;
        open_.erase(at);
        auto& h = history_.at(done.key);
        result<adapter::memory_share> outcome = share_of(h, number);
        if (!succeeds) outcome = error{errc::rpc_failed, "no"};
        if (done.kind == call_kind::download) {
            const bool brings = table_->state(done.key) == adapter_state::downloading;
            if (succeeds && brings) h.share = *outcome;
            if (succeeds) h.has_weights = h.share <= adapter::whole_memory;
            if (succeeds) {
                h.proven.insert(done.api_token);
            } else {
                h.proven.erase(done.api_token);
            }
        }
        if (done.kind == call_kind::offload && succeeds) occupied_.erase(done.index);
        adapter::changes c;
        table_->finished(done.id, outcome, now_, c);
        apply(c);
    }

    /// Of one adapter in a walk nearly always the same; now and then none could hold it.
    static adapter::memory_share share_of(const history& h, std::uint32_t number) {
        if (number % 64 == 0) return adapter::whole_memory + 1;
        return static_cast<adapter::memory_share>((h.name[0] - 'a') % 9) * 100'000;
    }

    void lose_shards(const walk_step& s) {
        were_up_ = s.b % 2 == 0;
        // The preloaded adapter moves, or is preloaded no more.
        if (preloaded_index_ != 0) preloaded_index_ = s.c % 4 == 0 ? 0 : 1 + s.c % 7;
        make_shards();
        open_.clear();
        running_.clear();
        for (auto& [key, h] : history_) {
            h.is_ready = h.name == "preloaded" && preloaded_index_ != 0;
            h.has_weights = false;
        }
        adapter::changes c;
        table_->shards_lost(preloaded_, were_up_, now_, c);
        c.no_longer_ready.clear();
        apply(c);
    }

    void apply(const adapter::changes& c) {
        for (const auto key : c.no_longer_ready) {
            expect(history_.at(key).is_ready, "one that was not ready is no longer ready");
            history_.at(key).is_ready = false;
        }
        for (const auto key : c.became_ready) {
            auto& h = history_.at(key);
            if (table_->ready_since(key) == now_) h.was_served = false;
            h.ready_since = table_->ready_since(key);
            h.is_ready = true;
        }
        for (const auto& g : c.granted) {
            for (auto& w : waiting_) {
                if (w.key == g.key && w.pending == g.who) w.pending = 0;
            }
            report(g.key, g.who);
        }
        for (const auto& r : c.refused) {
            std::erase_if(
                waiting_, [&](const guest& w) { return w.key == r.key && w.pending == r.who; });
            report(r.key, r.who);
        }
        for (const auto& f : c.failed) {
            std::set<adapter::credential> proofs;
            for (const auto& w : waiting_) {
                if (w.key == f.key) proofs.insert(w.pending);
            }
            std::erase_if(waiting_, [&](const guest& w) { return w.key == f.key; });
            for (const auto who : proofs) report(f.key, who);
            report(f.key, 0);
            if (f.why.detail.find("without the preloaded") == std::string::npos) continue;
            history_.erase(f.key);  // its key is free
        }
        for (const auto& [key, index] : c.forgotten) {
            expect(waiting(key) == 0 && running(key) == 0, "one in use was forgotten");
            expect(!history_[key].is_ready, "one that is ready was forgotten");
            for (const auto& open : open_) expect(open.key != key, "one with a call was forgotten");
            history_.erase(key);
        }
    }

    // What the owner of the queues tells the table.
    void report(adapter_key key, adapter::credential who) {
        if (who != 0) {
            const auto count = std::ranges::count_if(
                waiting_, [&](const guest& g) { return g.key == key && g.pending == who; });
            table_->set_pending(key, who, static_cast<std::size_t>(count));
        }
        auto oldest = adapter::time_point::max();
        for (const auto& g : waiting_) {
            if (g.key == key) oldest = std::min(oldest, g.since);
        }
        table_->set_waiting(key, waiting(key), oldest);
    }
    void report_running(adapter_key key) { table_->set_running(key, running(key), now_); }

    std::size_t waiting(adapter_key key) const { return count(waiting_, key); }
    std::size_t running(adapter_key key) const { return count(running_, key); }
    static std::size_t count(const std::vector<guest>& guests, adapter_key key) {
        return static_cast<std::size_t>(std::ranges::count(guests, key, &guest::key));
    }

    /// All calls succeed, all that are ready are served: nobody may be left waiting.
    void settle() {
        for (int round = 0; !waiting_.empty(); ++round) {
            expect(round < 200, "somebody waits for ever for " + history_.at(waiting_[0].key).name);
            now_ += 60ms;
            start_calls(64);
            while (!open_.empty()) finish_call(0, true, 1);
            running_.erase(
                std::remove_if(running_.begin(), running_.end(), [](const guest&) { return true; }),
                running_.end());
            for (const auto& [key, h] : history_) report_running(key);
            const auto count = waiting_.size();
            for (std::uint32_t i = 0; i < count; ++i) serve({0, i, 0, 0});
            check();
        }
        running_.clear();
        for (const auto& [key, h] : history_) report_running(key);
    }

    void check() const {
        std::size_t resident = 0;
        std::uint64_t memory = table_->free_memory();
        std::size_t idle = 0;
        std::set<std::uint32_t> indices;
        for (const auto& [key, h] : history_) {
            expect(h.is_ready == table_->is_ready(key), "readiness of " + h.name + " not told");
            expect(indices.insert(table_->index(key)).second, "two adapters share an index");
            if (h.name == "preloaded" && preloaded_index_ != 0) continue;
            const auto state = table_->state(key);
            const bool is_resident =
                state == adapter_state::loading || state == adapter_state::ready ||
                state == adapter_state::draining || state == adapter_state::offloading;
            resident += is_resident ? 1 : 0;
            memory += is_resident ? h.share : 0;
            expect(!h.is_ready || is_resident, "ready without a slot");
            const bool is_idle = waiting(key) == 0 && running(key) == 0 && !is_resident;
            const auto has_call =
                std::ranges::any_of(open_, [&](const auto& c) { return c.key == key; });
            idle += is_idle && !has_call ? 1 : 0;
        }
        expect(resident == table_->active(), "slots do not add up");
        expect(resident <= settings_.max_active_adapters, "too many slots are taken");
        expect(memory == adapter::whole_memory, "memory does not add up");
        std::size_t downloads = 0;
        for (const auto& c : open_) downloads += c.kind == call_kind::download ? 1 : 0;
        expect(downloads <= settings_.download_concurrency, "too many downloads at once");
        expect(open_.size() - downloads <= settings_.load_concurrency, "too many loads at once");
        // `due` forgets; until it is asked a walk adds one a step.
        expect(idle <= settings_.max_known_adapters + 16, "more adapters are known than allowed");
    }

    adapter::table_settings settings_;
    bool were_up_;
    std::uint32_t preloaded_index_ = 5;  // 0: none
    std::vector<adapter::adapter_table::preloaded_adapter> preloaded_;
    std::optional<adapter::adapter_table> table_;
    adapter::time_point now_{1h};
    std::vector<guest> waiting_;
    std::vector<guest> running_;
    std::vector<adapter::call> open_;
    std::map<adapter_key, history> history_;
    std::map<std::uint32_t, std::string> occupied_;  // the shards' indices, failed loads included
};

}  // namespace

TEST_CASE(
    "adapter table: no walk breaks a rule or leaves somebody waiting", "[adapter][property]") {
    test::random_walks<table_world>("adapter_table", {.walks = 1000, .steps = 1000});
}
