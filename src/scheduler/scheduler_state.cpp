#include "truffula/scheduler/scheduler_state.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>

namespace truffula::scheduler {
namespace {

std::optional<kv_cache::block_allocator> make_blocks(
    const scheduler_settings& settings, const shard_limits& limits) {
    if (limits.model != cost_model::blocks) return std::nullopt;
    return kv_cache::block_allocator{{
        .token_budget = limits.total_token_budget,
        .block_size = limits.block_size,
        .speculate = limits.speculate,
        .prefix_caching = settings.prefix_caching,
        .hash_seed = settings.hash_seed,
    }};
}

/// Who has the share of a request: its tenant; where none is known, its adapter.
std::string owner_of(const adapter::adapter_ref& ref, adapter_key key) {
    static const std::string nobody = adapter::adapter_ref{}.tenant;
    return ref.tenant == nobody ? "adapter " + std::to_string(key) : "tenant " + ref.tenant;
}

using queue_node = std::map<queue_place, entry>::node_type;

/// Takes all out: those that have no places yet are not in order, for their ranks are guesses of
/// different times.
std::vector<queue_node> extract_by_arrival(std::map<queue_place, entry>& from) {
    std::vector<queue_node> all;
    all.reserve(from.size());
    while (!from.empty()) all.push_back(from.extract(from.begin()));
    std::ranges::sort(all, {}, [](const queue_node& one) { return one.mapped().id; });
    return all;
}

error too_large(const char* what, std::uint64_t given, const char* limit, std::uint64_t allowed) {
    return {
        errc::validation,
        std::string{what} + " must be <= " + std::to_string(allowed) + " (" + limit +
            "). Given: " + std::to_string(given)};
}

}  // namespace

scheduler_state::scheduler_state(scheduler_settings settings, shard_limits limits)
    : settings_(settings),
      limits_(std::move(limits)),
      table_(settings_.adapters, limits_.preloaded, limits_.were_up),
      policy_(make_fifo_policy()),
      blocks_(make_blocks(settings_, limits_)),
      out_(limits_.model),
      shares_(settings_.shares) {
    queue_of(adapter::base_key);
}

scheduler_state::adapter_queue& scheduler_state::queue_of(adapter_key key) {
    while (key >= queues_.size()) {
        queues_.emplace_back();
        // Base and preloaded adapters are ready without an event.
        queues_.back().is_open = table_.is_ready(static_cast<adapter_key>(queues_.size() - 1));
    }
    return queues_[key];
}

std::optional<kv_cache::block_counts> scheduler_state::blocks() const {
    if (!blocks_) return std::nullopt;
    return blocks_->counts();
}

/// Why no batch could ever hold the request, even alone.
std::optional<error> scheduler_state::misfit(const inference::request& what) const {
    const auto input = what.input_length;
    const bool generates = what.kind == inference::task::generate;
    const auto tokens = std::uint64_t{input} + what.stopping.max_new_tokens;
    const bool may_be_cut = generates && limits_.cuts_prompts();
    if (input > limits_.prefill_token_budget && !may_be_cut) {
        return too_large(
            "`inputs` tokens", input, "the prefill token budget", limits_.prefill_token_budget);
    }
    if (generates && tokens > limits_.total_token_budget) {
        return too_large(
            "`inputs` tokens + `max_new_tokens`",
            tokens,
            "the total token budget",
            limits_.total_token_budget);
    }
    if (!blocks_) return std::nullopt;
    const auto needed = blocks_->blocks_needed(input, what.stopping.max_new_tokens);
    if (needed <= blocks_->usable()) return std::nullopt;
    return too_large(
        "blocks for `inputs` tokens + `max_new_tokens`",
        needed,
        "all blocks of the shards but the reserved one",
        blocks_->usable());
}

/// Why the request cannot leave its queue before its deadline. The wait is estimated only where it
/// is known to be needed: behind those that may be scheduled as this one.
std::optional<error> scheduler_state::too_late(
    const entry& e, adapter_key key, time_point now) const {
    if (!e.deadline) return std::nullopt;
    const auto seconds = [](steady_clock::duration d) {
        std::array<char, 32> text{};
        std::snprintf(text.data(), text.size(), "%.1f s", std::chrono::duration<double>(d).count());
        return std::string{text.data()};
    };
    if (*e.deadline <= now) {
        return error{
            errc::timeout,
            "The request waited longer than it may: for " + seconds(now - e.created)};
    }
    const bool generates = e.what->kind == inference::task::generate;
    if (settings_.is_fair || !generates || !table_.is_ready(key)) return std::nullopt;
    const auto wait = drain_.time_for(open_count_);
    if (!wait || now + *wait <= *e.deadline) return std::nullopt;
    return error{
        errc::timeout,
        "The request would wait longer than it may: about " + seconds(*wait) + ", with " +
            seconds(*e.deadline - now) + " left"};
}

void scheduler_state::submit(entry e, time_point now) {
    const auto deadline = e.what->deadline;
    if (settings_.queue_timeout.count() > 0) {
        const auto own = e.created + settings_.queue_timeout;
        e.deadline = std::min(own, deadline.value_or(own));
    } else {
        e.deadline = deadline;
    }
    enqueue(std::move(e), now);
}

void scheduler_state::enqueue(entry e, time_point now) {
    if (auto why = misfit(*e.what)) {
        failed_.emplace_back(std::move(e), std::move(*why));
        return;
    }
    const auto joined = table_.join(*e.adapter, now);
    if (!joined) {
        failed_.emplace_back(std::move(e), joined.error());
        return;
    }
    e.memo = {};
    if (auto why = too_late(e, joined->key, now)) {
        update(joined->key);
        failed_.emplace_back(std::move(e), std::move(*why));
        return;
    }
    const bool generates = e.what->kind == inference::task::generate;
    if (settings_.is_fair && generates && !e.share.account) {
        e.share = shares_.enter(
            owner_of(*e.adapter, joined->key),
            e.adapter->tenant,
            e.what->priority,
            e.what->input_length,
            e.what->stopping.max_new_tokens);
    }
    insert(std::move(e), {joined->key, joined->pending});
    update(joined->key);
}

void scheduler_state::insert(entry e, place where) {
    auto& queue = queue_of(where.key);
    const auto id = e.id;
    const bool is_open = queue.is_open && where.pending == 0;
    if (is_open) {
        shares_.place(e.share);
    } else {
        shares_.displace(e.share);
    }
    where.rank = e.share.rank;
    where.is_pooled = e.what->kind != inference::task::generate;
    where_[id] = where;
    if (e.deadline) deadlines_.insert({*e.deadline, id});
    shares_.queued(e.share);
    if (where.pending != 0) {
        auto& waiting = queue.pending[where.pending];
        waiting.emplace(e.place(), std::move(e));
        table_.set_pending(where.key, where.pending, waiting.size());
        return;
    }
    if (where.is_pooled) return insert_pooled(std::move(e), where.key);
    remember_overtaken(e, where.key);
    const auto at = queue.granted.emplace(e.place(), std::move(e)).first;
    if (is_open) {
        count_open(queue, at->second);
        runnable_ = true;
    }
}

/// One that comes back has been overtaken as often, and since when, as before it left.
void scheduler_state::remember_overtaken(const entry& e, adapter_key key) {
    if (e.overtakes >= settings_.max_overtakes) starved_[e.place()] = key;
    if (!e.overtaken_since) return;
    const std::pair since{*e.overtaken_since, e.id};
    const auto at = std::ranges::lower_bound(overtaken_, since);
    if (at == overtaken_.end() || *at != since) overtaken_.insert(at, since);
}

entry scheduler_state::extract(entry_queue& from, entry_queue::iterator at) {
    entry e = std::move(at->second);
    from.erase(at);
    where_.erase(e.id);
    starved_.erase(e.place());
    if (e.deadline) deadlines_.erase({*e.deadline, e.id});
    shares_.unqueued(e.share);
    if (e.what->kind != inference::task::generate) line_of(e.what->kind).erase(e.id);
    return e;
}

std::optional<entry> scheduler_state::remove(request_id id) {
    const auto found = where_.find(id);
    if (found == where_.end()) return std::nullopt;
    const auto where = found->second;
    auto& queue = queue_of(where.key);
    std::optional<entry> removed;
    if (where.pending == 0 && where.is_pooled) {
        removed = extract(queue.pooled, queue.pooled.find({where.rank, id}));
    } else if (where.pending == 0) {
        const auto at = queue.granted.find({where.rank, id});
        if (queue.is_open) uncount_open(queue, at->second);
        removed = extract(queue.granted, at);
    } else {
        const auto waiting = queue.pending.find(where.pending);
        removed = extract(waiting->second, waiting->second.find({where.rank, id}));
        table_.set_pending(where.key, where.pending, waiting->second.size());
        if (waiting->second.empty()) queue.pending.erase(waiting);
    }
    update(where.key);
    shares_.left(removed->share);
    return removed;
}

bool scheduler_state::cancel(request_id id) {
    return remove(id).has_value();
}

void scheduler_state::fail_all(entry_queue& queue, const error& why) {
    while (!queue.empty()) {
        auto e = extract(queue, queue.begin());
        shares_.left(e.share);
        failed_.emplace_back(std::move(e), why);
    }
}

/// Tells policy and table what the queue of `key` looks like now.
void scheduler_state::update(adapter_key key) {
    auto& queue = queue_of(key);
    if (queue.is_open && !queue.granted.empty()) {
        const auto fresh_until =
            settings_.is_fair ? time_point::max() : table_.ready_since(key) + settings_.cycle_time;
        policy_->offer(key, queue.granted.begin()->first, fresh_until);
    } else {
        policy_->withdraw(key);
    }
    auto count = queue.granted.size();
    auto first = count > 0 ? queue.granted.begin()->first : everybody;
    auto oldest = count > 0 ? queue.granted.begin()->second.created : time_point::max();
    if (!queue.pooled.empty()) {
        count += queue.pooled.size();
        oldest = std::min(oldest, queue.pooled.begin()->second.created);
    }
    for (const auto& [who, waiting] : queue.pending) {
        count += waiting.size();
        oldest = std::min(oldest, waiting.begin()->second.created);
        first = std::min(first, waiting.begin()->first);
    }
    table_.set_waiting(key, count, oldest, count > 0 ? first.rank : 0);
}

void scheduler_state::set_open(adapter_key key, bool is_open, time_point now) {
    auto& queue = queue_of(key);
    if (queue.is_open == is_open) return;
    queue.is_open = is_open;
    set_pooled_open(queue, key);
    if (is_open) {
        queue.open_since = now;
        place_all(queue, key);
        for (const auto& [at, e] : queue.granted) count_open(queue, e);
        runnable_ = runnable_ || !queue.granted.empty();
    } else {
        for (auto& [at, e] : queue.granted) {
            uncount_open(queue, e);
            shares_.displace(e.share);
        }
    }
}

/// They may be scheduled: under `fair` they take their places now, in the order of arrival.
void scheduler_state::place_all(adapter_queue& queue, adapter_key key) {
    if (!settings_.is_fair) return;
    for (auto& one : extract_by_arrival(queue.granted)) {
        auto& e = one.mapped();
        const bool is_starved = starved_.erase(e.place()) > 0;
        shares_.place(e.share);
        where_.at(e.id).rank = e.share.rank;
        if (is_starved) starved_[e.place()] = key;
        one.key() = e.place();
        queue.granted.insert(std::move(one));
    }
}

void scheduler_state::apply(const adapter::changes& c, time_point now) {
    for (const auto key : c.no_longer_ready) set_open(key, false, now);
    for (const auto key : c.became_ready) set_open(key, table_.is_ready(key), now);
    for (const auto& g : c.granted) {
        auto waiting = queue_of(g.key).pending.extract(g.who);
        if (!waiting) continue;
        table_.set_pending(g.key, g.who, 0);
        for (auto& one : extract_by_arrival(waiting.mapped())) {
            insert(std::move(one.mapped()), {g.key, 0});
        }
        update(g.key);
    }
    for (const auto& r : c.refused) {
        auto waiting = queue_of(r.key).pending.extract(r.who);
        if (!waiting) continue;
        fail_all(waiting.mapped(), r.why);
        table_.set_pending(r.key, r.who, 0);
        update(r.key);
    }
    for (const auto& f : c.failed) {
        auto& queue = queue_of(f.key);
        set_open(f.key, false, now);
        fail_all(queue.granted, f.why);
        fail_all(queue.pooled, f.why);
        for (auto& [who, waiting] : queue.pending) {
            fail_all(waiting, f.why);
            table_.set_pending(f.key, who, 0);
        }
        queue.pending.clear();
        update(f.key);
    }
    for (const auto key : c.no_longer_ready) update(key);
    for (const auto key : c.became_ready) update(key);
}

std::vector<adapter::call> scheduler_state::due(time_point now, std::size_t limit) {
    adapter::changes c;
    auto calls = table_.due(now, limit, c);
    for (const auto& call : calls) {
        // Weights come to the index or leave it: what was computed with others is void.
        if (blocks_ && call.kind != adapter::call_kind::download) blocks_->forget(call.index);
    }
    apply(c, now);
    return calls;
}

void scheduler_state::finished(
    std::uint64_t call_id, const result<adapter::memory_share>& outcome, time_point now) {
    adapter::changes c;
    table_.finished(call_id, outcome, now, c);
    apply(c, now);
}

void scheduler_state::shards_changed(shard_limits limits, time_point now) {
    limits_ = std::move(limits);
    blocks_ = make_blocks(settings_, limits_);
    if (out_.size() == 0) out_ = batch_cost{limits_.model};  // other shards may count otherwise
    in_use_.clear();                                         // as the table will think
    pooled_blocked_since_.reset();
    adapter::changes c;
    table_.shards_lost(limits_.preloaded, limits_.were_up, now, c);
    apply(c, now);
    // What fitted the old budgets may never fit the new ones.
    std::vector<std::pair<request_id, error>> misfits;
    for (const auto& [id, where] : where_) {
        auto& queue = queues_[where.key];
        auto& granted = where.is_pooled ? queue.pooled : queue.granted;
        auto& waiting = where.pending == 0 ? granted : queue.pending.at(where.pending);
        auto& e = waiting.at({where.rank, id});
        e.memo = {};
        if (auto why = misfit(*e.what)) misfits.emplace_back(id, std::move(*why));
    }
    for (auto& [id, why] : misfits) failed_.emplace_back(std::move(*remove(id)), std::move(why));
    runnable_ = true;
}

void scheduler_state::expire(time_point now) {
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
        auto gone = std::move(*remove(deadlines_.begin()->second));
        auto why = *too_late(gone, adapter::base_key, now);
        failed_.emplace_back(std::move(gone), std::move(why));
    }
}

void scheduler_state::fail_everything(const error& why) {
    while (!where_.empty()) failed_.emplace_back(std::move(*remove(where_.begin()->first)), why);
}

std::optional<time_point> scheduler_state::next_deadline(time_point now) const {
    auto next = table_.next_deadline(now);
    if (!deadlines_.empty()) {
        const auto first = deadlines_.begin()->first;
        next = next ? std::min(*next, first) : first;
    }
    return next;
}

}  // namespace truffula::scheduler
