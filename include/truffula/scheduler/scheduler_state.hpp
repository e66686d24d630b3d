#pragma once

#include "truffula/adapter/adapter_table.hpp"
#include "truffula/error/error.hpp"
#include "truffula/kv_cache/block_allocator.hpp"
#include "truffula/scheduler/batch_cost.hpp"
#include "truffula/scheduler/drain_rate.hpp"
#include "truffula/scheduler/entry.hpp"
#include "truffula/scheduler/fair_shares.hpp"
#include "truffula/scheduler/idle_slots.hpp"
#include "truffula/scheduler/join_rule.hpp"
#include "truffula/scheduler/policy.hpp"
#include "truffula/scheduler/spare_places.hpp"
#include "truffula/scheduler/wait_reason.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace truffula::scheduler {

using adapter::adapter_key;

/// Who may share the prefixes of prompts: a prompt that was asked before is answered sooner, which
/// tells whoever guesses it that somebody asked.
enum class prefix_salt : std::uint8_t {
    none,    ///< All users of an adapter.
    tenant,  ///< Only those of one tenant.
};

struct scheduler_settings {
    std::uint32_t max_overtakes = 64;                   ///< Of one request that does not fit.
    std::chrono::milliseconds max_overtake_wait{2000};  ///< Since it was first overtaken.
    std::size_t max_heads_passed = 32;                  ///< Looked past in one call.
    std::optional<std::size_t> max_batch_size;          ///< Most requests running at once.
    std::chrono::milliseconds cycle_time{2000};         ///< An adapter comes first that long.
    bool is_fair = false;                        ///< Policy `fair`: shares by tenant; else `fifo`.
    share_settings shares;                       ///< Of `fair`.
    std::chrono::milliseconds queue_timeout{0};  ///< Longest wait of a request; 0: any.
    bool prefix_caching = false;                 ///< On shards that are given blocks.
    prefix_salt prefix_cache_salt = prefix_salt::none;
    std::uint64_t hash_seed = 0;  ///< Secret: of hashes over what clients choose.
    adapter::table_settings adapters;
};

/// What the shards allow. Known after their warm-up, and again after every reconnect.
struct shard_limits {
    cost_model model = cost_model::plain;
    std::uint32_t prefill_token_budget = 0;  ///< Tokens of one prefill.
    std::uint32_t total_token_budget = 0;    ///< Tokens of all running requests.
    std::uint32_t block_size = 1;            ///< Tokens; `blocks` only.
    std::uint32_t speculate = 0;             ///< Tokens.
    bool chunked_prefill = false;            ///< A prefill may take a part of a prompt.
    std::vector<adapter::adapter_table::preloaded_adapter> preloaded;
    bool were_up = false;  ///< They may still hold adapters of an earlier router.

    /// With padding a part of a prompt would cost as much as all of it.
    bool cuts_prompts() const { return chunked_prefill && model != cost_model::padded; }
};

/// A request chosen for a batch, with what was set aside for it.
struct scheduled_entry {
    entry what;
    adapter_key key = adapter::base_key;
    std::uint32_t adapter_index = 0;
    std::optional<kv_cache::block_allocation> blocks;  ///< `cost_model::blocks` only.
    std::optional<std::uint32_t> chunk_len;  ///< Prompt tokens to compute first; none: all.

    /// Tokens from the prefix cache; those that the Prefill computes.
    std::uint32_t cached_tokens() const { return blocks ? blocks->cached_tokens() : 0; }
    std::uint32_t prefill_tokens() const {
        return chunk_len.value_or(what.what->input_length - cached_tokens());
    }
};

/// The rules of queueing and batching (design section 5). Pure: no I/O, clock or thread; the
/// actor around it and the simulator drive the same code.
class scheduler_state {
public:
    scheduler_state(scheduler_settings settings, shard_limits limits);

    /// Queues a request; one that can never fit, whose adapter is refused, or that cannot leave the
    /// queue before its deadline any more, fails at once.
    void submit(entry e, time_point now);

    /// Removes a queued request whose client left. False if it is not queued.
    bool cancel(request_id id);

    /// The next batch to prefill, in picking order; empty: nothing that fits, or it is not worth
    /// its prefill yet.
    ///
    /// \param in_use adapters that the running batch names.
    /// \param terms asked once, before the batch is formed: what then fits goes.
    /// \param prefill_token_budget, token_budget tokens that the new batch may take.
    std::vector<scheduled_entry> next_batch(
        std::span<const adapter_key> in_use,
        const join_terms& terms,
        std::uint32_t prefill_token_budget,
        std::uint32_t token_budget,
        time_point now);

    /// The next batch of requests that do not generate, all of one task: that of the oldest. They
    /// leave strictly in arrival order, over all adapters, and take nothing of the total budget.
    ///
    /// \param in_use adapters that the running batch names, and the one about to join it.
    /// \param prefill_token_budget tokens that the batch may take.
    std::vector<scheduled_entry> next_pooled_batch(
        std::span<const adapter_key> in_use, std::uint32_t prefill_token_budget, time_point now);

    /// Takes back requests of a batch that was never sent, each to its old place, unless its
    /// client has left. Their blocks have been given up before.
    void give_back(std::vector<entry> unused, time_point now);

    /// A generating request that `next_batch` gave has left the shards (or never reached them).
    void ended(std::uint32_t input_tokens, std::uint32_t new_tokens);

    /// The same, and so many tokens were made for it: corrects what its owner has had.
    void ended(
        std::uint32_t input_tokens,
        std::uint32_t new_tokens,
        const share_ticket& share,
        std::uint32_t generated_tokens);

    /// Adapter calls to make now, at most `limit`; report each with `finished`.
    std::vector<adapter::call> due(time_point now, std::size_t limit);
    void finished(
        std::uint64_t call_id, const result<adapter::memory_share>& outcome, time_point now);

    /// The shards were lost and are back: their adapters are gone, and limits may differ.
    void shards_changed(shard_limits limits, time_point now);

    /// Fails requests whose deadline has come. Cheap when there are none.
    void expire(time_point now);

    /// Fails everything that waits.
    void fail_everything(const error& why);

    /// Requests that failed since the last call, and why.
    std::vector<std::pair<entry, error>> take_failed() { return std::exchange(failed_, {}); }

    /// Whether `next_batch` may have a new answer since it last had none.
    bool runnable() const { return runnable_; }

    /// When `due` or `expire` may have something to do without another event.
    std::optional<time_point> next_deadline(time_point now) const;

    /// Which rule keeps the request in its queue; nothing if it does not wait.
    std::optional<wait_reason> why_waiting(request_id id) const;

    /// The same of all requests. Looks at each adapter once: for metrics, not for each step.
    waiting_by_reason count_by_reason() const;

    /// The longest time for which a ready adapter with waiting requests has not been served. Looks
    /// at each adapter once.
    steady_clock::duration longest_unserved(time_point now) const;

    std::size_t waiting() const { return where_.size(); }

    /// Those of the waiting requests that `next_batch` may choose from: their adapter is ready.
    std::size_t schedulable() const { return open_count_; }

    std::size_t running() const { return out_.size(); }
    const adapter::adapter_table& adapters() const { return table_; }
    const batch_cost& running_cost() const { return out_; }
    const fair_shares& shares() const { return shares_; }

    /// Where the shards' blocks are; none without `cost_model::blocks`.
    std::optional<kv_cache::block_counts> blocks() const;

private:
    using entry_queue = std::map<queue_place, entry>;

    struct adapter_queue {
        entry_queue granted;
        entry_queue pooled;                                  // granted, too; they do not generate
        std::map<adapter::credential, entry_queue> pending;  // for the proof of an api token
        bool is_open = false;                                // may be scheduled
        time_point open_since;
        time_point last_served;
        time_point ran_until;                       // when the last of its requests had left
        wait_reason held_by = wait_reason::policy;  // its first request, in the call `held_in`
        std::uint64_t held_in = 0;
    };
    struct place {
        place(adapter_key k, adapter::credential p) : key(k), pending(p) {}
        place() = default;

        adapter_key key = adapter::base_key;
        adapter::credential pending = 0;
        double rank = 0;
        bool is_pooled = false;
    };
    struct room;
    using open_line = std::map<request_id, adapter_key>;  // by arrival

    void enqueue(entry e, time_point now);
    std::optional<error> too_late(const entry& e, adapter_key key, time_point now) const;
    std::optional<error> misfit(const inference::request& what) const;
    void insert(entry e, place where);
    void remember_overtaken(const entry& e, adapter_key key);
    entry extract(entry_queue& from, entry_queue::iterator at);
    void fail_all(entry_queue& queue, const error& why);
    void apply(const adapter::changes& c, time_point now);
    void set_open(adapter_key key, bool is_open, time_point now);
    void place_all(adapter_queue& queue, adapter_key key);
    void count_open(const adapter_queue& queue, const entry& e);
    void uncount_open(const adapter_queue& queue, const entry& e);
    waiting_now who_waits(time_point now) const;
    waiting_now who_waits_within_share(time_point now) const;
    void count_slots(waiting_now& who, time_point now) const;
    void note_idle(adapter_key key);
    std::optional<wait_reason> holds_back_join(
        const join_terms& terms, std::size_t places, time_point now);
    bool is_worth_joining(const join_terms& terms, std::size_t could, time_point now) const;
    wait_reason full_because() const;
    std::size_t kept_of(std::size_t places) const;
    std::size_t places_left(std::uint64_t total_tokens) const;
    std::size_t candidates(std::size_t places) const;
    bool is_kept_for_others(adapter_key key, std::uint64_t total_tokens);
    wait_reason reason_of_adapter(adapter_key key) const;
    wait_reason reason_of_proof(adapter_key key) const;
    wait_reason reason_of_pooled(adapter_key key) const;
    void note_held(adapter_queue& queue, wait_reason by) const;
    void offer(adapter_key key);
    void update(adapter_key key);
    void note_in_use(std::span<const adapter_key> in_use, time_point now);
    struct passed_heads {
        std::vector<adapter_key> without_room;
        std::vector<adapter_key> above_share;
        queue_place youngest_taken;  // in their place
    };
    void select(room& left, std::vector<scheduled_entry>& taken, time_point now);
    std::optional<scheduled_entry> take_front(adapter_key key, room& left);
    std::optional<entry> remove(request_id id);
    void note_taken(std::span<const scheduled_entry> taken, time_point now);
    void note_overtaken(adapter_key key, std::span<const scheduled_entry> taken, time_point now);
    queue_place barrier(time_point now);
    void mark_running(std::span<const scheduled_entry> taken, time_point now);
    open_line& line_of(inference::task kind);
    void insert_pooled(entry e, adapter_key key);
    void set_pooled_open(const adapter_queue& queue, adapter_key key);
    bool has_open_pooled() const { return !pooled_[0].empty() || !pooled_[1].empty(); }
    std::optional<scheduled_entry> take_pooled(
        const open_line& line, batch_cost& joining, std::uint64_t prefill_token_budget);
    bool holds_back_for_pooled(time_point now) const;
    adapter_queue& queue_of(adapter_key key);
    entry& head_of(adapter_key key) { return queue_of(key).granted.begin()->second; }

    scheduler_settings settings_;
    shard_limits limits_;
    adapter::adapter_table table_;
    std::unique_ptr<policy> policy_;
    std::optional<kv_cache::block_allocator> blocks_;
    batch_cost out_;
    std::vector<adapter_queue> queues_;  // by key
    std::unordered_map<request_id, place> where_;
    std::deque<std::pair<time_point, request_id>> overtaken_;  // when younger ones first passed it
    std::map<queue_place, adapter_key> starved_;               // overtaken beyond its limit
    std::set<std::pair<time_point, request_id>> deadlines_;    // of those that wait
    fair_shares shares_;
    spare_places spare_;
    idle_slots idle_slots_;
    std::uint64_t calls_ = 0;                         // of `next_batch`
    std::optional<wait_reason> call_held_by_;         // the last of them, as a whole
    drain_rate drain_;                                // of those that may be scheduled
    std::vector<adapter_key> in_use_;                 // sorted
    std::vector<adapter_key> before_in_use_;          // of `note_in_use`: kept for its memory
    passed_heads passed_;                             // in the last `next_batch`
    std::string owner_;                               // of `enqueue`: kept for its memory
    std::size_t open_count_ = 0;                      // requests that may be scheduled
    std::uint64_t open_tokens_ = 0;                   // of them, prompts and answers
    std::chrono::microseconds open_since_{};          // sum over them; nanoseconds would overflow
    std::array<open_line, 2> pooled_;                 // those that do not generate
    std::optional<time_point> pooled_blocked_since_;  // their head got no blocks
    std::vector<std::pair<entry, error>> failed_;
    bool runnable_ = false;
};

}  // namespace truffula::scheduler
