#include "truffula/scheduler/scheduler_state.hpp"

#include <algorithm>

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

/// Tells the policy what the queue of `key` looks like now.
void scheduler_state::offer(adapter_key key) {
    const auto& queue = queue_of(key);
    if (!queue.is_open || queue.granted.empty()) return policy_->withdraw(key);
    const auto fresh_until =
        settings_.is_fair ? time_point::max() : table_.ready_since(key) + settings_.cycle_time;
    policy_->offer(key, queue.granted.begin()->first, fresh_until);
}

/// Tells policy and table what the queue of `key` looks like now.
void scheduler_state::update(adapter_key key) {
    offer(key);
    const auto& queue = queue_of(key);
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
    note_idle(key);
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
