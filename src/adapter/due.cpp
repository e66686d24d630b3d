// Which adapter calls are due: downloads, loads, and the evictions that make room for them.
#include "adapter/table_impl.hpp"

#include <algorithm>
#include <utility>

namespace truffula::adapter {
namespace {

/// How many adapters that want a slot are looked at in one go: evictions for more can wait.
constexpr std::size_t most_wanting = 64;

}  // namespace

call adapter_table::impl::make_call(
    call_kind kind, adapter_key key, credential who, time_point now) {
    const auto& r = records[key];
    call c;
    c.id = next_call++;
    c.kind = kind;
    c.key = key;
    c.what = r.ref.what;
    c.from = r.ref.from;
    c.index = r.index;
    if (kind == call_kind::download) c.api_token = claims.at(who).token;
    if (kind == call_kind::load) c.api_token = r.proven_token;
    c.timeout = kind == call_kind::download ? settings.download_timeout : settings.load_timeout;
    calls[c.id] = {kind, key, who, now};
    return c;
}

std::size_t adapter_table::impl::loads_under_way() const {
    return calls.size() - downloads_under_way;
}

/// Loads go first: they free slots and fill them. Where calls are short they would go for ever,
/// therefore not before a download that has waited for four cycle times.
bool adapter_table::impl::downloads_are_overdue(time_point now) const {
    if (want_download.empty()) return false;
    return std::get<1>(*want_download.begin()) + settings.cycle_time * 4 <= now;
}

void adapter_table::impl::due_downloads(time_point now, std::size_t limit, std::vector<call>& out) {
    for (auto at = want_download.begin(); at != want_download.end();) {
        if (out.size() >= limit || downloads_under_way >= settings.download_concurrency) return;
        const auto who = std::get<2>(*at);
        auto& c = claims.at(who);
        auto& r = records[c.key];
        // Its weights are on the way with another token: once they are here this is a proof only.
        const bool must_wait =
            r.state == adapter_state::downloading || r.state == adapter_state::failed;
        if (must_wait) {
            ++at;
            continue;
        }
        at = want_download.erase(at);
        c.is_sent = true;
        download_turn = std::max(download_turn, c.turn);
        if (r.state == adapter_state::unknown) r.state = adapter_state::downloading;
        ++downloads_under_way;
        out.push_back(make_call(call_kind::download, c.key, who, now));
        refresh(c.key);
    }
}

/// What those who want a slot need, against what is free or about to be.
void adapter_table::impl::due_loads(
    time_point now, std::size_t limit, std::vector<call>& out, changes& c) {
    next_check.reset();
    undrain(c);
    const auto may_start = [&] {
        return out.size() < limit && loads_under_way() < settings.load_concurrency;
    };
    slots.in_order(most_wanting, wanting);
    std::ranges::stable_partition(wanting, [this](auto key) { return records[key].is_owed; });
    room left{settings.max_active_adapters - resident.size(), free_memory};
    room missing;
    std::map<const slot_holder*, std::size_t> more_slots;  // that each is about to have
    std::vector<const slot_holder*> above_share;
    // In the order of waiting: nobody takes what is to be freed for an older one.
    for (const auto key : wanting) {
        auto& r = records[key];
        if (std::ranges::find(above_share, r.holder) != above_share.end()) continue;
        if (missing.slots > 0 || left.slots == 0 || left.memory < r.share) {
            const auto before = missing;
            ++missing.slots;
            missing.memory += r.share;
            const auto evicted = evict_for(r, ++more_slots[r.holder], missing, left, now, c);
            if (evicted == eviction::nobody) break;
            if (evicted == eviction::not_its_share) {
                missing = before;
                above_share.push_back(r.holder);
            }
            continue;
        }
        --left.slots;
        left.memory -= r.share;
        if (!may_start()) continue;
        slots.unwant(*r.holder, wish_of(key));
        r.state = adapter_state::loading;
        r.is_given_away = r.is_owed = false;
        r.is_cleaning = !r.is_clean;
        resident.insert(key);
        free_memory -= r.share;
        const auto kind = r.is_cleaning ? call_kind::offload : call_kind::load;
        out.push_back(make_call(kind, key, 0, now));
        refresh(key);
    }
    for (auto at = draining.begin(); at != draining.end() && may_start();) {
        const auto key = *at;
        auto& r = records[key];
        if (r.running > 0) {
            ++at;
            continue;
        }
        at = draining.erase(at);
        note_drained(r, now);
        offloading.insert(key);
        r.state = adapter_state::offloading;
        out.push_back(make_call(call_kind::offload, key, 0, now));
    }
}

/// What is free once those that leave have left; `is_gone`: only those that cannot come back.
adapter_table::impl::room adapter_table::impl::leaving_room(bool is_gone) const {
    room freed;
    const auto count = [&freed](const record& r) {
        ++freed.slots;
        freed.memory += r.share;
    };
    for (const auto key : offloading) count(records[key]);
    for (const auto key : draining) {
        // Not clean: its load failed on some shard, so it cannot come back.
        if (!is_gone || !records[key].is_clean) count(records[key]);
    }
    return freed;
}

/// A draining adapter whose slot nobody needs any more is ready again.
void adapter_table::impl::undrain(changes& c) {
    if (draining.empty()) return;
    room wanted;
    slots.in_order(most_wanting, wanting);
    for (const auto key : wanting) {
        ++wanted.slots;
        wanted.memory += records[key].share;
    }
    auto found = leaving_room(true);
    found.slots += settings.max_active_adapters - resident.size();
    found.memory += free_memory;
    for (auto at = draining.begin(); at != draining.end();) {
        const auto key = *at;
        auto& r = records[key];
        const bool is_needed = found.slots < wanted.slots || found.memory < wanted.memory;
        if (r.is_clean && !is_needed) {
            at = draining.erase(at);
            r.drained_since.reset();
            r.is_given_away = false;
            r.state = adapter_state::ready;
            c.became_ready.push_back(key);
            refresh(key);
            continue;
        }
        ++at;
        if (!r.is_clean) continue;  // its load failed: counted already
        ++found.slots;
        found.memory += r.share;
    }
}

void adapter_table::impl::check_at(time_point when) {
    next_check = next_check ? std::min(*next_check, when) : when;
}

/// From whom a slot may be taken for one whose holder is about to have `more_slots` more: from
/// those who have most, if that is as many; else it has to give one of its own. Not if it has none,
/// or all of its own would not make room: nobody waits for ever.
adapter_table::impl::givers adapter_table::impl::givers_for(
    const record& who, std::size_t more_slots, const room& free) const {
    if (!settings.shares_slots) return {who.holder, 0};
    double most = 0;
    for (const auto key : resident) {
        const auto& r = records[key];
        if (r.holder == who.holder || r.evictable == record::place::none) continue;
        most = std::max(most, r.holder->level());
    }
    const bool has_memory = who.holder->memory + free.memory >= who.share;
    const bool can_help_itself = who.holder->slots > 0 && has_memory;
    if (can_help_itself && most < who.holder->level(more_slots)) return {who.holder, 0};
    return {nullptr, most};
}

/// Whoever has not used an adapter for long does not keep it.
bool adapter_table::impl::may_go(const record& r, const givers& from, time_point now) {
    if (from.only != nullptr ? r.holder == from.only : r.holder->level() >= from.least_level) {
        return true;
    }
    const auto kept_until = r.kept_since + slot_shares::keeps;
    if (kept_until <= now) return true;
    check_at(kept_until);
    return false;
}

/// Makes room for `missing` beside what is free, if that can be done now.
///
/// \param more_slots that the holder of `who` is about to have, this one included.
adapter_table::impl::eviction adapter_table::impl::evict_for(
    record& who, std::size_t more_slots, room missing, room free, time_point now, changes& c) {
    auto found = leaving_room(false);
    found.slots += free.slots;
    found.memory += free.memory;
    const auto is_enough = [&] {
        return found.slots >= missing.slots && found.memory >= missing.memory;
    };
    if (is_enough()) return eviction::enough;
    const auto from = givers_for(who, more_slots, free);
    // Idle ones first, the least worth keeping; then the one that has been ready longest, but only
    // for who has waited a while: meanwhile one may become idle, and nobody has to wait for a
    // drain.
    std::vector<adapter_key> chosen;
    const auto choose = [&](adapter_key key) {
        ++found.slots;
        found.memory += records[key].share;
        chosen.push_back(key);
    };
    const auto choose_among = [&](const auto& may_go) {
        const auto is_new = [&](adapter_key key) {
            return std::ranges::find(chosen, key) == chosen.end() && may_go(records[key]);
        };
        for (const auto& [rank, key] : idle) {
            if (is_enough()) return;
            if (is_new(key)) choose(key);
        }
        for (const auto& [since, number] : busy) {
            const auto key = static_cast<adapter_key>(number);
            if (is_enough()) return;
            if (!is_new(key)) continue;
            const auto free_from = std::max(
                since + settings.cycle_time - drain_lead(),
                who.oldest + settings.cycle_time * 3 / 8);
            if (free_from > now) return check_at(free_from);
            choose(key);
        }
    };
    choose_among([&](const record& r) { return may_go(r, from, now); });
    // Those who have most have too little memory: nobody waits for ever.
    const bool lacks_memory = found.slots >= missing.slots && !is_enough();
    if (from.only == nullptr && lacks_memory) choose_among([](const record&) { return true; });
    // Not even all of them would do: nobody leaves for nothing.
    if (!is_enough()) return from.only != nullptr ? eviction::not_its_share : eviction::nobody;
    who.is_owed = from.only == nullptr;
    for (const auto key : chosen) drain(key, *who.holder, now, c);
    return eviction::enough;
}

/// A busy adapter leaves only when its running requests have ended: the drain starts so much
/// before the end of its cycle time that the exchange comes about there. Some drains take longer
/// than the mean, hence the factor.
steady_clock::duration adapter_table::impl::drain_lead() const {
    return std::min<steady_clock::duration>(drain_time * 2, settings.cycle_time / 2);
}

void adapter_table::impl::note_drained(record& r, time_point now) {
    if (!r.drained_since) return;
    const auto took = now - *std::exchange(r.drained_since, std::nullopt);
    drain_time = drain_time.count() == 0 ? took : (drain_time * 7 + took) / 8;
}

void adapter_table::impl::drain(
    adapter_key key, const slot_holder& by, time_point now, changes& c) {
    auto& r = records[key];
    if (r.running > 0) r.drained_since = now;
    r.state = adapter_state::draining;
    r.is_given_away = r.holder != &by;
    draining.push_back(key);
    refresh(key);
    c.no_longer_ready.push_back(key);
}

}  // namespace truffula::adapter
