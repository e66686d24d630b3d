#include "truffula/adapter/adapter_table.hpp"

#include "adapter/table_impl.hpp"

#include <algorithm>
#include <utility>

namespace truffula::adapter {
namespace {

bool is_resident(adapter_state s) {
    return s == adapter_state::loading || s == adapter_state::ready ||
           s == adapter_state::draining || s == adapter_state::offloading;
}

}  // namespace

bool changes::empty() const noexcept {
    return became_ready.empty() && no_longer_ready.empty() && granted.empty() && refused.empty() &&
           failed.empty() && forgotten.empty();
}

/// Brings the ordered sets in line with a record that changed.
void adapter_table::impl::refresh(adapter_key key) {
    auto& r = records[key];
    if (r.is_permanent || !r.is_used) return;
    const bool is_asked_for = has_granted(r) || r.is_wanted;
    if (r.state == adapter_state::downloaded && is_asked_for) {
        slots.want(*r.holder, wish_of(key));
    } else {
        slots.unwant(*r.holder, wish_of(key));
    }
    const bool takes_slot = is_resident(r.state) && !r.is_pinned && !r.is_given_away;
    if (takes_slot && !r.takes_slot) slots.take_slot(*r.holder, r.share);
    if (!takes_slot && r.takes_slot) slots.give_slot(*r.holder, r.share);
    r.takes_slot = takes_slot;
    const bool is_missed = r.waiting > 0 || r.is_wanted;
    if (r.state == adapter_state::unknown && is_missed && r.claims.empty()) {
        const auto who = open_claim(key, r.proven_token, r.ref.tenant, r.oldest);
        claims[who].is_internal = true;
    }
    const bool is_idle = r.waiting == 0 && r.running == 0 && r.claims.empty() && !r.is_pinned;
    if (is_idle && !is_resident(r.state) && r.state != adapter_state::downloading) {
        forgettable.insert({r.last_used, key});
    } else {
        forgettable.erase({r.last_used, key});
    }
    refresh_evictable(key);
}

/// Who has waiters is not evicted before it has served one of them.
void adapter_table::impl::refresh_evictable(adapter_key key) {
    auto& r = records[key];
    auto to = record::place::none;
    if (r.state == adapter_state::ready && !r.is_pinned && !r.is_permanent) {
        const bool is_idle = r.waiting == 0 && r.running == 0;
        if (is_idle) {
            to = record::place::idle;
        } else if (r.waiting == 0 || r.was_served) {
            to = record::place::busy;
        }
    }
    if (to == r.evictable) return;
    if (r.evictable == record::place::idle) idle.erase({r.rank, key});
    if (r.evictable == record::place::busy) busy.erase({r.ready_since, key});
    r.evictable = to;
    if (to == record::place::idle) {
        r.rank = r.value.rank(r.share);
        idle.insert({r.rank, key});
    }
    if (to == record::place::busy) busy.insert({r.ready_since, key});
}

std::string_view state_name(adapter_state state) noexcept {
    switch (state) {
        case adapter_state::unknown: return "unknown";
        case adapter_state::downloading: return "downloading";
        case adapter_state::downloaded: return "downloaded";
        case adapter_state::loading: return "loading";
        case adapter_state::ready: return "ready";
        case adapter_state::draining: return "draining";
        case adapter_state::offloading: return "offloading";
        case adapter_state::failed: return "failed";
    }
    return "unknown";
}

adapter_table::adapter_table(
    table_settings settings, std::span<const preloaded_adapter> preloaded, bool shards_were_up)
    : impl_(std::make_unique<impl>(settings, preloaded, shards_were_up)) {}
adapter_table::~adapter_table() = default;
adapter_table::adapter_table(adapter_table&&) noexcept = default;
adapter_table& adapter_table::operator=(adapter_table&&) noexcept = default;

result<adapter_table::joined> adapter_table::join(const adapter_ref& ref, time_point now) {
    if (ref.is_base()) return joined{};
    auto& t = *impl_;
    const auto key = t.find_or_add(ref, now);
    auto& r = t.records[key];
    if (r.is_permanent) return joined{key, 0};
    static const std::string no_token;
    const auto& token = t.needs_token(r) ? ref.api_token : no_token;
    if (auto why = t.refused(r, token, now)) return std::move(*why);
    t.asked_by(key, ref.tenant, now);
    t.forgettable.erase({r.last_used, key});
    r.last_used = now;
    r.value.used(now);
    const bool is_known =
        r.state != adapter_state::unknown && r.state != adapter_state::downloading;
    const auto proof = r.proofs.find(token);
    const bool is_proven = !t.needs_token(r) || (proof != r.proofs.end() && now < proof->second);
    if (is_proven && is_known) return joined{key, 0};
    const auto open = r.claims.find(token);
    credential who = open == r.claims.end() ? 0 : open->second;
    if (who == 0) {
        const auto line = t.download_lines.find(ref.tenant);
        if (line != t.download_lines.end() &&
            line->second.open >= t.settings.max_downloads_per_tenant) {
            t.refresh(key);
            return error{
                errc::overloaded,
                "too many adapters of this tenant wait for their download (limit " +
                    std::to_string(t.settings.max_downloads_per_tenant) + "); try again later"};
        }
        who = t.open_claim(key, token, ref.tenant, now);
    }
    if (is_proven) t.claims[who].is_internal = true;
    return joined{key, is_proven ? 0 : who};
}

void adapter_table::set_waiting(
    adapter_key key, std::size_t count, time_point oldest, double first_rank) {
    auto& t = *impl_;
    auto& r = t.records[key];
    const bool is_same = r.oldest == oldest && r.first_rank == first_rank;
    if (r.waiting == count && (count == 0 || is_same)) {
        t.refresh(key);
        return;
    }
    if (r.holder != nullptr) t.slots.unwant(*r.holder, t.wish_of(key));
    r.waiting = count;
    r.oldest = count > 0 ? oldest : time_point{};  // a pinned one does not wait behind others
    r.first_rank = first_rank;
    if (count == 0) {
        r.is_owed = false;
        // Nobody waits for what was not sent yet.
        const auto open = r.claims;
        for (const auto& [token, who] : open) {
            if (!t.claims.at(who).is_sent) t.close_claim(who);
        }
    }
    t.refresh(key);
}

void adapter_table::set_pending(adapter_key key, credential who, std::size_t count) {
    auto& t = *impl_;
    const auto found = t.claims.find(who);
    if (found == t.claims.end()) return;
    found->second.pending = count;
    if (count == 0 && !found->second.is_sent && !found->second.is_internal) t.close_claim(who);
    t.refresh(key);
}

void adapter_table::set_running(adapter_key key, std::size_t count, time_point now) {
    auto& t = *impl_;
    auto& r = t.records[key];
    t.forgettable.erase({r.last_used, key});
    r.running = count;
    r.last_used = now;
    t.refresh(key);
}

void adapter_table::served(adapter_key key) {
    impl_->records[key].was_served = true;
    impl_->refresh_evictable(key);
}

std::vector<call> adapter_table::due(time_point now, std::size_t limit, changes& out) {
    std::vector<call> calls;
    const bool downloads_first = impl_->downloads_are_overdue(now);
    if (downloads_first) impl_->due_downloads(now, limit, calls);
    impl_->due_loads(now, limit, calls, out);
    if (!downloads_first) impl_->due_downloads(now, limit, calls);
    impl_->forget_least_used(out);
    return calls;
}

std::optional<time_point> adapter_table::next_deadline(time_point now) const {
    if (impl_->next_check && *impl_->next_check > now) return impl_->next_check;
    return std::nullopt;
}

bool adapter_table::is_ready(adapter_key key) const {
    return key < impl_->records.size() && impl_->records[key].state == adapter_state::ready;
}
adapter_state adapter_table::state(adapter_key key) const {
    return impl_->records[key].state;
}
std::uint32_t adapter_table::index(adapter_key key) const {
    return impl_->records[key].index;
}
time_point adapter_table::ready_since(adapter_key key) const {
    return impl_->records[key].ready_since;
}
memory_share adapter_table::free_memory() const {
    return impl_->free_memory;
}
memory_share adapter_table::share(adapter_key key) const {
    return impl_->records[key].share;
}
std::size_t adapter_table::active() const {
    return impl_->resident.size();
}

std::vector<known_adapter> adapter_table::known(std::size_t most) const {
    std::vector<const record*> usable;
    std::vector<const record*> others;
    for (const auto& r : impl_->records) {
        if (!r.is_used || r.ref.is_base()) continue;
        auto& of = r.is_usable() ? usable : others;
        if (of.size() < most) of.push_back(&r);
    }
    others.resize(std::min(others.size(), most - usable.size()));
    std::vector<known_adapter> all;
    all.reserve(usable.size() + others.size());
    for (const auto* of : {&usable, &others}) {
        for (const auto* r : *of) {
            all.push_back({r->ref.what.ids, r->shown_state(), r->is_usable()});
        }
    }
    return all;
}

bool adapter_table::may_leave(adapter_key key) const {
    const auto& r = impl_->records[key];
    return !r.is_permanent && !r.is_pinned;
}

std::vector<std::size_t> adapter_table::count_by_state() const {
    std::vector<std::size_t> counts(static_cast<std::size_t>(adapter_state::failed) + 1);
    for (const auto& r : impl_->records) {
        if (r.is_used && !r.is_permanent) ++counts[static_cast<std::size_t>(r.shown_state())];
    }
    return counts;
}

}  // namespace truffula::adapter
