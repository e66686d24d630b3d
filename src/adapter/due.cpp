// Which adapter calls are due: downloads, loads, and the evictions that make room for them.
#include "adapter/table_impl.hpp"

#include <algorithm>

namespace truffula::adapter {
namespace {

/// How many adapters that want a slot are looked at in one go: evictions for more can wait.
constexpr std::size_t most_wanting = 64;

}  // namespace

call adapter_table::impl::make_call(call_kind kind, adapter_key key, credential who) {
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
    calls[c.id] = {kind, key, who};
    return c;
}

std::size_t adapter_table::impl::loads_under_way() const {
    return calls.size() - downloads_under_way;
}

void adapter_table::impl::due_downloads(time_point, std::size_t limit, std::vector<call>& out) {
    for (auto at = want_download.begin(); at != want_download.end();) {
        if (out.size() >= limit || downloads_under_way >= settings.download_concurrency) return;
        const auto who = at->second;
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
        if (r.state == adapter_state::unknown) r.state = adapter_state::downloading;
        ++downloads_under_way;
        out.push_back(make_call(call_kind::download, c.key, who));
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
    std::vector<adapter_key> wanting;
    for (const auto& [oldest, key] : want_load) {
        wanting.push_back(static_cast<adapter_key>(key));
        if (wanting.size() == most_wanting) break;
    }
    room left{settings.max_active_adapters - resident.size(), free_memory};
    room missing;
    // In the order of waiting: nobody takes what is to be freed for an older one.
    for (const auto key : wanting) {
        auto& r = records[key];
        if (missing.slots > 0 || left.slots == 0 || left.memory < r.share) {
            ++missing.slots;
            missing.memory += r.share;
            if (!evict_for(missing, left, now, c)) break;
            continue;
        }
        --left.slots;
        left.memory -= r.share;
        if (!may_start()) continue;
        want_load.erase({r.oldest, key});
        r.state = adapter_state::loading;
        r.is_cleaning = !r.is_clean;
        resident.insert(key);
        free_memory -= r.share;
        out.push_back(make_call(r.is_cleaning ? call_kind::offload : call_kind::load, key, 0));
        refresh(key);
    }
    const auto leaving = draining;
    for (const auto key : leaving) {
        auto& r = records[key];
        if (r.running > 0 || !may_start()) continue;
        draining.erase(key);
        r.state = adapter_state::offloading;
        out.push_back(make_call(call_kind::offload, key, 0));
    }
}

/// What is free once those that leave have left; `is_gone`: only those that cannot come back.
adapter_table::impl::room adapter_table::impl::leaving_room(bool is_gone) const {
    room freed;
    for (const auto key : resident) {
        const auto& r = records[key];
        // Draining and not clean: its load failed on some shard, so it cannot come back.
        const bool counts = r.state == adapter_state::offloading ||
                            (r.state == adapter_state::draining && (!is_gone || !r.is_clean));
        if (!counts) continue;
        ++freed.slots;
        freed.memory += r.share;
    }
    return freed;
}

/// A draining adapter whose slot nobody needs any more is ready again.
void adapter_table::impl::undrain(changes& c) {
    if (draining.empty()) return;
    room wanted;
    for (const auto& [oldest, key] : want_load) {
        ++wanted.slots;
        wanted.memory += records[static_cast<adapter_key>(key)].share;
        if (wanted.slots == most_wanting) break;
    }
    auto found = leaving_room(true);
    found.slots += settings.max_active_adapters - resident.size();
    found.memory += free_memory;
    const auto leaving = draining;
    for (const auto key : leaving) {
        auto& r = records[key];
        if (!r.is_clean) continue;  // its load failed
        if (found.slots >= wanted.slots && found.memory >= wanted.memory) {
            draining.erase(key);
            r.state = adapter_state::ready;
            c.became_ready.push_back(key);
            continue;
        }
        ++found.slots;
        found.memory += r.share;
    }
}

/// Makes room for `missing` beside what is free; false when that cannot be done now.
bool adapter_table::impl::evict_for(room missing, room free, time_point now, changes& c) {
    auto found = leaving_room(false);
    found.slots += free.slots;
    found.memory += free.memory;
    // Idle ones first, the least recently used; then the one that has been ready longest.
    std::vector<adapter_key> victims;
    std::vector<adapter_key> busy;
    for (const auto key : resident) {
        const auto& r = records[key];
        if (r.state != adapter_state::ready) continue;
        if (r.waiting == 0 && r.running == 0) {
            victims.push_back(key);
            continue;
        }
        if (r.waiting > 0 && !r.was_served) continue;
        const auto free_from = r.ready_since + settings.cycle_time;
        if (free_from <= now) {
            busy.push_back(key);
        } else {
            next_check = next_check ? std::min(*next_check, free_from) : free_from;
        }
    }
    std::ranges::sort(victims, {}, [this](adapter_key k) { return records[k].last_used; });
    std::ranges::sort(busy, {}, [this](adapter_key k) { return records[k].ready_since; });
    victims.insert(victims.end(), busy.begin(), busy.end());

    std::vector<adapter_key> chosen;
    for (const auto key : victims) {
        if (found.slots >= missing.slots && found.memory >= missing.memory) break;
        ++found.slots;
        found.memory += records[key].share;
        chosen.push_back(key);
    }
    // Not even all of them would do: nobody leaves for nothing.
    if (found.slots < missing.slots || found.memory < missing.memory) return false;
    for (const auto key : chosen) {
        records[key].state = adapter_state::draining;
        draining.insert(key);
        c.no_longer_ready.push_back(key);
    }
    return true;
}

}  // namespace truffula::adapter
