// Sending the next Decode, if nothing else is due as soon as the last one was answered.
#include "batching/engine_core.hpp"

#include <algorithm>
#include <array>

namespace truffula::batching {

bool engine_core::is_any_lane_full() const {
    return std::ranges::any_of(lanes, [](const auto& lane) { return lane->is_full(); });
}

engine_core::sent_decode engine_core::send_decode(
    std::span<const shard::cached_batch* const> batches) {
    sent_decode sent;
    sent.at = std::chrono::steady_clock::now();
    sent.call = group_->start_decode(batches);
    return sent;
}

/// Polls for the answer to a call that was sent then, if it is to be polled for; until
/// `poller_->end()`.
void engine_core::poll_within(
    std::optional<answer_forecast::window> due, busy_poller::time_point sent) {
    if (due) poller_->poll_between(sent + due->from, sent + due->until);
}

/// Nobody has ended, nobody is to join, and nothing else waits for the shards.
bool engine_core::needs_only_another_step(const result<shard::step_answer>& answer) const {
    const bool is_free =
        is_live() && probes_.empty() && !scheduler.has_news() && !is_any_lane_full();
    return is_free && answer && running_.goes_on_after(*answer) &&
           answer->batch->id == cached_.front().id;
}

/// Where an answer arrives, before any coroutine goes on: most steps are followed by another, and
/// the shards need not wait until it has been seen what else the answer does.
void engine_core::go_ahead(const result<shard::step_answer>& answer) {
    if (!needs_only_another_step(answer)) return;
    const std::array batches{&*answer->batch};
    ahead_ = send_decode(batches);
}

}  // namespace truffula::batching
