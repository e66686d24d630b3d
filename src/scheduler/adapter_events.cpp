// What happens to queues when adapters come and go, and which adapter calls are due.
#include "truffula/scheduler/scheduler_state.hpp"

#include <algorithm>
#include <map>
#include <vector>

namespace truffula::scheduler {
namespace {

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

}  // namespace

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
            shares_.unqueued(one.mapped().share);  // `insert` counts it again
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

}  // namespace truffula::scheduler
