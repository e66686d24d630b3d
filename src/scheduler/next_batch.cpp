// The forming of batches: `scheduler_state::next_batch` and what it stands on.
#include "scheduler/batch_room.hpp"
#include "truffula/scheduler/scheduler_state.hpp"

#include <algorithm>
#include <limits>

namespace truffula::scheduler {
namespace {

constexpr std::size_t usual_batch = 64;  // requests: larger ones grow

}  // namespace

/// What is left of the budgets while a batch is formed.
struct scheduler_state::room : batch_room {
    using batch_room::batch_room;
};

void scheduler_state::note_in_use(std::span<const adapter_key> in_use, time_point now) {
    auto& was = before_in_use_;
    std::swap(was, in_use_);
    in_use_.assign(in_use.begin(), in_use.end());
    std::ranges::sort(in_use_);
    for (const auto key : was) {
        if (std::ranges::binary_search(in_use_, key)) continue;
        table_.set_running(key, 0, now);
        queue_of(key).ran_until = now;
        note_idle(key);
    }
    for (const auto key : in_use_) {
        if (std::ranges::binary_search(was, key)) continue;
        table_.set_running(key, 1, now);
        note_idle(key);
    }
}

std::vector<scheduled_entry> scheduler_state::next_batch(
    std::span<const adapter_key> in_use,
    const join_terms& terms,
    std::uint32_t prefill_token_budget,
    std::uint32_t token_budget,
    time_point now) {
    note_in_use(in_use, now);
    runnable_ = false;
    std::vector<scheduled_entry> taken;
    ++calls_;
    call_held_by_.reset();
    if (holds_back_for_pooled(now)) {
        call_held_by_ = wait_reason::blocks;
        return taken;
    }
    shares_.pass_time(now);
    const auto total_tokens = out_.total() + token_budget;
    if (const auto why_not = holds_back_join(terms, places_left(total_tokens), now)) {
        call_held_by_ = why_not;
        return taken;
    }

    batch_room::limits budgets;
    budgets.prefill_tokens = prefill_token_budget;
    budgets.total_tokens = total_tokens;
    budgets.cuts_prompts = limits_.cuts_prompts();
    budgets.has_tenant_salt = settings_.prefix_cache_salt == prefix_salt::tenant;
    budgets.hash_seed = settings_.hash_seed;
    room left{budgets, out_, blocks_};
    select(left, taken, now);
    for (const auto key : passed_.without_room) offer(key);
    for (const auto key : passed_.above_share) offer(key);
    note_taken(taken, now);
    if (settings_.max_batch_size && out_.size() >= *settings_.max_batch_size) {
        call_held_by_ = wait_reason::batch_size;
    }
    spare_.formed(!taken.empty(), candidates(places_left(total_tokens)));
    drain_.observe(taken.size(), open_count_, now);
    return taken;
}

/// Keeps the accounts of a batch that is about to leave.
void scheduler_state::note_taken(std::span<const scheduled_entry> taken, time_point now) {
    const auto has = [](const std::vector<adapter_key>& all, adapter_key key) {
        return std::ranges::find(all, key) != all.end();
    };
    for (const auto key : passed_.without_room) note_overtaken(key, taken, now);
    // Heads of adapters past their cycle time wait behind all others: the oldest counts, too.
    // Whoever runs more than its share is not overtaken: it has had its turn.
    const auto oldest = policy_->oldest();
    if (oldest && !has(passed_.without_room, *oldest) && !has(passed_.above_share, *oldest)) {
        note_overtaken(*oldest, taken, now);
    }
    for (const auto& t : taken) queues_[t.key].last_served = now;
    mark_running(taken, now);
}

/// Takes what fits, in the policy's order, and notes the adapters whose heads were looked past.
void scheduler_state::select(room& left, std::vector<scheduled_entry>& taken, time_point now) {
    passed_.without_room.clear();
    passed_.above_share.clear();
    passed_.youngest_taken = {};
    while (!settings_.max_batch_size || out_.size() < *settings_.max_batch_size) {
        const auto key = policy_->next(now, barrier(now));
        if (!key) break;
        // Nothing is left for anybody, and nobody was overtaken: no need to look at more heads.
        if (left.is_prefill_used_up() &&
            passed_.youngest_taken < head_of(*policy_->oldest()).place()) {
            call_held_by_ = wait_reason::prefill_budget;
            break;
        }
        const bool is_kept = is_kept_for_others(*key, left.total_tokens());
        auto chosen = is_kept ? std::nullopt : take_front(*key, left);
        if (chosen) {
            if (taken.empty()) taken.reserve(std::min(open_count_ + 1, usual_batch));
            shares_.taken(chosen->what.share);  // who is above its share may change with each
            passed_.youngest_taken = std::max(passed_.youngest_taken, chosen->what.place());
            taken.push_back(std::move(*chosen));
            update(*key);
            continue;
        }
        (is_kept ? passed_.above_share : passed_.without_room).push_back(*key);
        policy_->withdraw(*key);  // until `offer`: its younger requests do not pass it
        const auto count = passed_.above_share.size() + passed_.without_room.size();
        if (count > settings_.max_heads_passed) break;
    }
}

std::optional<scheduled_entry> scheduler_state::take_front(adapter_key key, room& left) {
    auto& queue = queue_of(key);
    const auto front = queue.granted.begin();
    const auto& what = *front->second.what;
    auto found = left.take(front->second, table_.index(key));
    if (const auto* held_by = std::get_if<wait_reason>(&found)) {
        note_held(queue, *held_by);
        return std::nullopt;
    }
    auto& reserved = std::get<batch_room::reservation>(found);
    out_.add(what.input_length, what.stopping.max_new_tokens);
    uncount_open(queue, front->second);
    return scheduled_entry{
        extract(queue.granted, front),
        key,
        table_.index(key),
        std::move(reserved.blocks),
        reserved.chunk_len};
}

/// The head of `key` was passed by those of `taken` that are younger.
void scheduler_state::note_overtaken(
    adapter_key key, std::span<const scheduled_entry> taken, time_point now) {
    auto& head = head_of(key);
    if (passed_.youngest_taken < head.place()) return;
    const auto younger = std::ranges::count_if(
        taken, [&head](const scheduled_entry& t) { return t.what.place() > head.place(); });
    head.overtakes += static_cast<std::uint32_t>(younger);
    if (!head.overtaken_since) {
        head.overtaken_since = now;
        overtaken_.emplace_back(now, head.id);
    }
    if (head.overtakes >= settings_.max_overtakes) starved_[head.place()] = key;
}

/// The oldest request that was overtaken too often or for too long: nothing younger may go first.
queue_place scheduler_state::barrier(time_point now) {
    while (!overtaken_.empty() && overtaken_.front().first + settings_.max_overtake_wait <= now) {
        const auto id = overtaken_.front().second;
        overtaken_.pop_front();
        const auto found = where_.find(id);
        // One that came back and must prove its token again holds nobody up meanwhile.
        if (found == where_.end() || found->second.pending != 0) continue;
        starved_[{found->second.rank, id}] = found->second.key;
    }
    for (const auto& [head, key] : starved_) {
        if (queue_of(key).is_open) return head;
    }
    return everybody;
}

void scheduler_state::give_back(std::vector<entry> unused, time_point now) {
    for (auto& e : unused) {
        if (e.what->kind == inference::task::generate) {
            out_.remove(e.what->input_length, e.what->stopping.max_new_tokens);
            shares_.returned(e.share);
        }
        if (e.to->abandoned()) continue;  // `cancel` came while it was out
        enqueue(std::move(e), now);       // its adapter may have gone meanwhile
    }
}

void scheduler_state::ended(std::uint32_t input_tokens, std::uint32_t new_tokens) {
    out_.remove(input_tokens, new_tokens);
    runnable_ = runnable_ || open_count_ > 0 || has_open_pooled();
}

void scheduler_state::ended(
    std::uint32_t input_tokens,
    std::uint32_t new_tokens,
    const share_ticket& share,
    std::uint32_t generated_tokens) {
    shares_.ended(share, generated_tokens);
    ended(input_tokens, new_tokens);
}

}  // namespace truffula::scheduler
