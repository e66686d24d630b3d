// Which adapters are known, under which key, and with which index on the shards.
#include "adapter/table_impl.hpp"

#include <algorithm>
#include <utility>

namespace truffula::adapter {
namespace {

void append(std::string& to, const void* data, std::size_t size) {
    to.append(static_cast<const char*>(data), size);
}

void append_text(std::string& to, const std::string& text) {
    const auto size = text.size();
    append(to, &size, sizeof size);
    to += text;
}

/// Equal for equal adapters: every field with its length, so that no two run together.
void write_text(std::string& text, const parameters& p) {
    text.clear();
    for (const auto& id : p.ids) append_text(text, id);
    text += '|';
    for (const auto weight : p.weights) append(text, &weight, sizeof weight);
    text += '|';
    text += static_cast<char>(p.strategy);
    append(text, &p.density, sizeof p.density);
    text += static_cast<char>(p.signs);
}

/// Makes an adapter's text its identity.
void append_source(std::string& text, const adapter_ref& ref) {
    text += static_cast<char>(ref.from);
    if (ref.from == source::pbase) append_text(text, ref.api_token);
}

}  // namespace

adapter_table::impl::impl(
    table_settings s, std::span<const preloaded_adapter> preloaded, bool were_up)
    : settings(s), shards_were_up(were_up), slots(s.shares_slots, s.tenant_weights) {
    records.emplace_back();
    records[base_key].is_used = records[base_key].is_permanent = true;
    records[base_key].state = adapter_state::ready;
    changes nobody_knows_yet;
    reset_preloaded(preloaded, nobody_knows_yet);
    for (const auto& ref : settings.pinned) pin(ref, time_point{});
}

/// Nobody waits for it; `refresh` sees to it that it is fetched all the same.
void adapter_table::impl::pin(const adapter_ref& ref, time_point now) {
    const auto key = find_or_add(ref, now);
    auto& r = records[key];
    if (r.is_permanent) return;
    r.is_pinned = r.is_wanted = true;
    refresh(key);
}

/// Preloaded adapters are ready for ever; all others get indices above theirs.
void adapter_table::impl::reset_preloaded(
    std::span<const preloaded_adapter> preloaded, changes& out) {
    auto gone = std::exchange(preloaded_by_ids, {});
    for (const auto& p : preloaded) next_index = std::max(next_index, p.index + 1);
    for (const auto& p : preloaded) {
        std::string text;
        write_text(text, p.what);
        const auto known = gone.extract(text);
        const auto key = known ? known.mapped() : take_key();
        auto& r = records[key];
        r.ref.what = p.what;
        r.index = p.index;
        r.state = adapter_state::ready;
        r.is_used = r.is_permanent = true;
        preloaded_by_ids[text] = key;
        if (!known) out.became_ready.push_back(key);
        give_up_index(p.index);
    }
    for (const auto& [text, key] : gone) {
        records[key] = record{};
        free_keys.push_back(key);
        out.no_longer_ready.push_back(key);
        out.failed.push_back(
            {key, {errc::rpc_failed, "the shards came back without the preloaded adapter"}});
    }
}

/// A preloaded adapter has come to `index`: nobody else may have it.
void adapter_table::impl::give_up_index(std::uint32_t index) {
    free_indices.erase(index);
    for (auto& r : records) {
        if (r.is_used && !r.is_permanent && r.index == index) r.index = next_index++;
    }
}

adapter_key adapter_table::impl::take_key() {
    if (free_keys.empty()) {
        records.emplace_back();
        return static_cast<adapter_key>(records.size() - 1);
    }
    const auto key = free_keys.back();
    free_keys.pop_back();
    return key;
}

adapter_key adapter_table::impl::find_or_add(const adapter_ref& ref, time_point now) {
    write_text(asked_for, ref.what);
    const auto preloaded = preloaded_by_ids.find(asked_for);
    if (preloaded != preloaded_by_ids.end()) return preloaded->second;
    append_source(asked_for, ref);
    const auto known = by_identity.find(asked_for);
    if (known != by_identity.end()) return known->second;
    const auto key = take_key();
    auto& r = records[key];
    r = record{};
    r.ref = ref;
    r.ref.api_token.clear();
    r.identity = asked_for;
    r.is_used = true;
    r.is_clean = !shards_were_up;
    r.last_used = now;
    r.index = free_indices.empty() ? next_index++ : *free_indices.begin();
    free_indices.erase(r.index);
    hold(key, slots.of(ref.tenant), now);
    by_identity.emplace(asked_for, key);
    forgettable.insert({now, key});
    return key;
}

void adapter_table::impl::forget_least_used(changes& out) {
    while (forgettable.size() > settings.max_known_adapters) {
        const auto key = static_cast<adapter_key>(forgettable.begin()->second);
        forgettable.erase(forgettable.begin());
        auto& r = records[key];
        by_identity.erase(r.identity);
        free_indices.insert(r.index);
        free_keys.push_back(key);
        out.forgotten.emplace_back(key, r.index);
        let_go(r);
        r = record{};
    }
}

/// From now on the adapter counts as that holder's.
void adapter_table::impl::hold(adapter_key key, slot_holder& by, time_point now) {
    auto& r = records[key];
    r.kept_since = now;
    if (r.holder == &by) return;
    const bool is_wished = r.holder != nullptr && r.holder->wishes.contains(wish_of(key));
    if (is_wished) slots.unwant(*r.holder, wish_of(key));
    let_go(r);
    r.holder = &by;
    ++by.adapters;
    if (r.takes_slot) slots.take_slot(by, r.share);
    if (is_wished) slots.want(by, wish_of(key));
}

void adapter_table::impl::let_go(record& r) {
    if (r.holder == nullptr) return;
    if (r.takes_slot) slots.give_slot(*r.holder, r.share);
    --r.holder->adapters;
    slots.tidy(*r.holder);
    r.holder = nullptr;
}

/// An adapter that several tenants use counts as one's: it goes over to one who has fewer slots, or
/// when nobody has kept it for long. Who has about as few as its holder keeps it for both.
void adapter_table::impl::asked_by(adapter_key key, const std::string& tenant, time_point now) {
    auto& r = records[key];
    auto& by = slots.of(tenant);
    const bool is_kept = now - r.kept_since < slot_shares::keeps;
    if (!is_kept || by.level(1) < r.holder->level()) hold(key, by, now);
    if (&by == r.holder || by.level() <= r.holder->level(1)) r.kept_since = now;
    slots.tidy(by);
}

}  // namespace truffula::adapter
