// Requests that do not generate: `scheduler_state::next_pooled_batch` and what it stands on.
#include "truffula/scheduler/scheduler_state.hpp"

#include <algorithm>

namespace truffula::scheduler {

scheduler_state::open_line& scheduler_state::line_of(inference::task kind) {
    return pooled_[kind == inference::task::embed ? 0 : 1];
}

void scheduler_state::insert_pooled(entry e, adapter_key key) {
    auto& queue = queue_of(key);
    if (queue.is_open) {
        line_of(e.what->kind).emplace(e.id, key);
        runnable_ = true;
    }
    const auto at = e.place();
    queue.pooled.emplace(at, std::move(e));
}

void scheduler_state::set_pooled_open(const adapter_queue& queue, adapter_key key) {
    for (const auto& [at, e] : queue.pooled) {
        auto& line = line_of(e.what->kind);
        if (queue.is_open) {
            line.emplace(e.id, key);
            runnable_ = true;
        } else {
            line.erase(e.id);
        }
    }
}

/// The adapters of a batch that is about to leave are in use.
void scheduler_state::mark_running(std::span<const scheduled_entry> taken, time_point now) {
    for (const auto& t : taken) {
        table_.served(t.key);
        const auto at = std::ranges::lower_bound(in_use_, t.key);
        if (at != in_use_.end() && *at == t.key) continue;
        in_use_.insert(at, t.key);
        table_.set_running(t.key, 1, now);
        note_idle(t.key);
    }
}

std::vector<scheduled_entry> scheduler_state::next_pooled_batch(
    std::span<const adapter_key> in_use, std::uint32_t prefill_token_budget, time_point now) {
    note_in_use(in_use, now);
    std::vector<scheduled_entry> taken;
    if (!has_open_pooled()) {
        pooled_blocked_since_.reset();
        return taken;
    }
    auto& [first, second] = pooled_;
    const bool is_first =
        second.empty() || (!first.empty() && first.begin()->first < second.begin()->first);
    auto& line = is_first ? first : second;
    batch_cost joining{limits_.model};
    while (!line.empty() &&
           (!settings_.max_batch_size || taken.size() < *settings_.max_batch_size)) {
        auto chosen = take_pooled(line, joining, prefill_token_budget);
        if (!chosen) break;
        taken.push_back(std::move(*chosen));
    }
    if (!taken.empty()) {
        pooled_blocked_since_.reset();
    } else if (!pooled_blocked_since_) {
        pooled_blocked_since_ = now;
    }
    mark_running(taken, now);
    return taken;
}

/// The oldest request of `line`, if the new batch has room for it.
std::optional<scheduled_entry> scheduler_state::take_pooled(
    const open_line& line, batch_cost& joining, std::uint64_t prefill_token_budget) {
    const auto [id, key] = *line.begin();
    auto& queue = queue_of(key);
    const auto at = queue.pooled.find({where_.at(id).rank, id});
    const auto& what = *at->second.what;
    if (joining.prefill_with(what.input_length) > prefill_token_budget) return std::nullopt;
    std::optional<kv_cache::block_allocation> reserved;
    if (blocks_) {  // without, the shard would write over those of the running batch
        reserved = blocks_->allocate(
            {.prompt_tokens = what.input_length, .new_tokens = what.stopping.max_new_tokens});
        if (!reserved) return std::nullopt;
    }
    joining.add(what.input_length, what.stopping.max_new_tokens);
    scheduled_entry chosen{
        extract(queue.pooled, at), key, table_.index(key), std::move(reserved), std::nullopt};
    update(key);
    return chosen;
}

/// The running batch holds the blocks that the oldest of them needs, and has been joined over its
/// head for too long: nothing joins until it got them.
bool scheduler_state::holds_back_for_pooled(time_point now) const {
    return has_open_pooled() && pooled_blocked_since_ &&
           *pooled_blocked_since_ + settings_.max_overtake_wait <= now;
}

}  // namespace truffula::scheduler
