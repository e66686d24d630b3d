// Who could join the running batch, and whether that is worth a prefill now.
#include "scheduler/summed_times.hpp"
#include "truffula/scheduler/scheduler_state.hpp"

#include <algorithm>
#include <limits>

namespace truffula::scheduler {
namespace {

constexpr auto any_number = std::numeric_limits<std::size_t>::max();

/// Of all places, so many are kept free from those who run more than their share. Others take them
/// one by one, and most are given back sooner than the next one is needed: a few do.
constexpr std::size_t kept_part = 16;

std::uint64_t tokens_of(const entry& e) {
    return std::uint64_t{e.what->input_length} + e.what->stopping.max_new_tokens;
}

}  // namespace

void scheduler_state::count_open(const adapter_queue& queue, const entry& e) {
    const auto since = whole_microseconds(std::max(queue.open_since, e.created));
    ++open_count_;
    open_tokens_ += tokens_of(e);
    open_since_ += since;
    shares_.opened(e.share, since);
}

void scheduler_state::uncount_open(const adapter_queue& queue, const entry& e) {
    const auto since = whole_microseconds(std::max(queue.open_since, e.created));
    --open_count_;
    open_tokens_ -= tokens_of(e);
    open_since_ -= since;
    shares_.closed(e.share, since);
}

waiting_now scheduler_state::who_waits(time_point now) const {
    const auto pooled = pooled_[0].size() + pooled_[1].size();
    waiting_now all;
    all.count = open_count_;
    all.waited = scheduler::waited(open_count_, open_since_, now);
    all.blocked = where_.size() - open_count_ - pooled;
    count_slots(all, now);
    return all;
}

/// Those who have no more than their share. The others hold them up neither by running nor by
/// waiting for adapters.
waiting_now scheduler_state::who_waits_within_share(time_point now) const {
    const auto& of = shares_.within();
    waiting_now within;
    within.count = of.open;
    within.waited = scheduler::waited(of.open, of.open_since, now);
    within.blocked = of.waiting - of.open;
    within.running = of.running;
    count_slots(within, now);
    return within;
}

void scheduler_state::count_slots(waiting_now& who, time_point now) const {
    who.slots = table_.active();
    who.idle_slots = idle_slots_.count();
    who.slots_idle = idle_slots_.waited(now);
}

/// Its slot is idle if somebody could run with it, and nobody does.
void scheduler_state::note_idle(adapter_key key) {
    const auto& queue = queue_of(key);
    const bool could_run = queue.is_open && !queue.granted.empty() && table_.may_leave(key);
    if (!could_run || std::ranges::binary_search(in_use_, key)) {
        return idle_slots_.note(key, std::nullopt);
    }
    const auto& first = queue.granted.begin()->second;
    idle_slots_.note(key, std::max({queue.open_since, queue.ran_until, first.created}));
}

/// Requests for which there is room beside those that run, if they are like these; all who wait, if
/// there is room for all: a few large ones that run say nothing of small ones that come.
std::size_t scheduler_state::places_left(std::uint64_t total_tokens) const {
    auto left = any_number;
    const auto running = out_.size();
    if (const auto most = settings_.max_batch_size) left = *most - std::min(running, *most);
    if (running == 0) return left;
    const auto places = [&](std::uint64_t unused, std::uint64_t used) {
        const auto usual = unused * running / std::max<std::uint64_t>(used, 1);
        const auto all = open_tokens_ <= unused ? open_count_ : 0;
        return std::min<std::uint64_t>(left, std::max<std::uint64_t>(usual, all));
    };
    if (blocks_) {
        const auto counts = blocks_->counts();
        const auto size = limits_.block_size;
        return places((counts.free + counts.cached) * size, counts.used * size);
    }
    const auto used = out_.total();
    return places(total_tokens - std::min(used, total_tokens), used);
}

/// Of `places` left, those that are kept for others than who runs more than its share.
std::size_t scheduler_state::kept_of(std::size_t places) const {
    return places == any_number ? 0 : (out_.size() + places) / kept_part;
}

/// How many of those who may be scheduled would find one of the `places`.
std::size_t scheduler_state::candidates(std::size_t places) const {
    if (!settings_.is_fair) return std::min(open_count_, places);
    const auto within = shares_.within().open;
    const auto kept = kept_of(places);
    const auto above = std::min(open_count_ - within, places - std::min(kept, places));
    return std::min(places, within + above);
}

bool scheduler_state::is_kept_for_others(adapter_key key, std::uint64_t total_tokens) {
    auto& queue = queue_of(key);
    const auto& account = queue.granted.begin()->second.share.account;
    if (!account || !account->is_above) return false;
    const auto places = places_left(total_tokens);
    if (places > kept_of(places)) return false;
    note_held(queue, wait_reason::share);
    return true;
}

/// Whether those who wait may join; or those of them who have no more than their share, weighed as
/// if they were alone.
bool scheduler_state::is_worth_joining(
    const join_terms& terms, std::size_t could, time_point now) const {
    const auto all = who_waits(now);
    if (!terms.weigh) return terms.allow(all);
    if (terms.allow(could >= all.count ? all : spare_.limit(all, could))) return true;
    return settings_.is_fair && terms.allow(who_waits_within_share(now));
}

/// Which limit the running batch has reached.
wait_reason scheduler_state::full_because() const {
    if (settings_.max_batch_size && out_.size() >= *settings_.max_batch_size) {
        return wait_reason::batch_size;
    }
    return blocks_ ? wait_reason::blocks : wait_reason::total_budget;
}

/// Why no batch is to be formed now; nothing: one is.
std::optional<wait_reason> scheduler_state::holds_back_join(
    const join_terms& terms, std::size_t places, time_point now) {
    spare_.pass_time(now);
    const auto could = candidates(places);
    if (is_worth_joining(terms, could, now)) return std::nullopt;
    spare_.formed(false, could);
    const bool is_full = places == 0 && open_count_ > 0;
    return is_full ? full_because() : wait_reason::join_size;
}

}  // namespace truffula::scheduler
