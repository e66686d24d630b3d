// Why a request is still in its queue: computed when somebody asks.
#include "truffula/scheduler/scheduler_state.hpp"

#include <algorithm>

namespace truffula::scheduler {

std::string_view name_of(wait_reason r) noexcept {
    switch (r) {
        case wait_reason::slot: return "slot";
        case wait_reason::memory: return "memory";
        case wait_reason::prefill_budget: return "prefill_budget";
        case wait_reason::total_budget: return "total_budget";
        case wait_reason::blocks: return "blocks";
        case wait_reason::batch_size: return "batch_size";
        case wait_reason::join_size: return "join_size";
        case wait_reason::downloading: return "downloading";
        case wait_reason::loading: return "loading";
        case wait_reason::draining: return "draining";
        case wait_reason::backing_off: return "backing_off";
        case wait_reason::proof: return "proof";
        case wait_reason::share: return "share";
        case wait_reason::policy: return "policy";
    }
    return "policy";
}

void scheduler_state::note_held(adapter_queue& queue, wait_reason by) const {
    queue.held_by = by;
    queue.held_in = calls_;
}

/// What keeps the requests of an adapter that may use it; the first one's reason is that of all
/// behind it.
wait_reason scheduler_state::reason_of_adapter(adapter_key key) const {
    const auto& queue = queues_[key];
    if (queue.is_open) {
        if (queue.held_in == calls_) return queue.held_by;
        return call_held_by_.value_or(wait_reason::policy);
    }
    switch (table_.state(key)) {
        case adapter::adapter_state::unknown:
        case adapter::adapter_state::downloading: return wait_reason::downloading;
        case adapter::adapter_state::downloaded:
            if (table_.active() >= settings_.adapters.max_active_adapters) return wait_reason::slot;
            if (table_.free_memory() < table_.share(key)) return wait_reason::memory;
            return wait_reason::loading;
        case adapter::adapter_state::ready:
        case adapter::adapter_state::loading: return wait_reason::loading;
        case adapter::adapter_state::draining:
        case adapter::adapter_state::offloading: return wait_reason::draining;
        case adapter::adapter_state::failed: return wait_reason::backing_off;
    }
    return wait_reason::policy;
}

/// Those that do not generate have a line of their own, which no policy orders.
wait_reason scheduler_state::reason_of_pooled(adapter_key key) const {
    if (!queues_[key].is_open) return reason_of_adapter(key);
    return pooled_blocked_since_ ? wait_reason::blocks : wait_reason::policy;
}

/// The weights may have to be fetched first: then all wait for that.
wait_reason scheduler_state::reason_of_proof(adapter_key key) const {
    const auto state = table_.state(key);
    const bool is_missing =
        state == adapter::adapter_state::unknown || state == adapter::adapter_state::downloading;
    return is_missing ? wait_reason::downloading : wait_reason::proof;
}

std::optional<wait_reason> scheduler_state::why_waiting(request_id id) const {
    const auto found = where_.find(id);
    if (found == where_.end()) return std::nullopt;
    const auto& where = found->second;
    if (where.pending != 0) return reason_of_proof(where.key);
    return where.is_pooled ? reason_of_pooled(where.key) : reason_of_adapter(where.key);
}

waiting_by_reason scheduler_state::count_by_reason() const {
    waiting_by_reason counts{};
    for (adapter_key key = 0; key < queues_.size(); ++key) {
        const auto& queue = queues_[key];
        if (!queue.granted.empty()) {
            counts[static_cast<std::size_t>(reason_of_adapter(key))] += queue.granted.size();
        }
        if (!queue.pooled.empty()) {
            counts[static_cast<std::size_t>(reason_of_pooled(key))] += queue.pooled.size();
        }
        for (const auto& [who, waiting] : queue.pending) {
            counts[static_cast<std::size_t>(reason_of_proof(key))] += waiting.size();
        }
    }
    return counts;
}

steady_clock::duration scheduler_state::longest_unserved(time_point now) const {
    steady_clock::duration longest{};
    for (const auto& queue : queues_) {
        if (!queue.is_open || queue.granted.empty()) continue;
        const auto first = queue.granted.begin()->second.created;
        longest = std::max(longest, now - std::max({queue.last_served, queue.open_since, first}));
    }
    return longest;
}

}  // namespace truffula::scheduler
