// What adapter calls did, and what is left when the shards were lost.
#include "adapter/table_impl.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace truffula::adapter {
namespace {

constexpr std::size_t most_old_proofs = 16;

std::string fraction(memory_share share) {
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", static_cast<double>(share) / whole_memory);
    return text;
}

}  // namespace

void adapter_table::impl::note_failure(refusal_note& note, const error& why, time_point now) const {
    note.backoff = note.backoff.count() == 0 ? settings.first_backoff
                                             : std::min(note.backoff * 2, settings.last_backoff);
    note.why = why;
    note.until = now + note.backoff;
}

/// Every waiter of the adapter fails; it is refused for a while.
void adapter_table::impl::fail_adapter(adapter_key key, error why, time_point now, changes& out) {
    auto& r = records[key];
    note_failure(r.failure, why, now);
    const auto open = r.claims;
    for (const auto& [token, who] : open) {
        if (!claims.at(who).is_sent) close_claim(who);
    }
    out.failed.push_back({key, std::move(why)});
}

void adapter_table::impl::release(record& r) {
    const auto key = static_cast<adapter_key>(&r - records.data());
    if (resident.erase(key) > 0) free_memory += r.share;
    std::erase(draining, key);
    offloading.erase(key);
}

void adapter_table::impl::proof_failed(
    record& r, const std::string& token, const error& why, time_point now) const {
    r.proofs.erase(token);
    if (r.proven_token == token && !r.proofs.empty()) r.proven_token = r.proofs.begin()->first;
    // Tokens are a client's to make up: what is over is not kept for ever.
    std::erase_if(
        r.refused, [now](const auto& old) { return old.second.until + old.second.backoff < now; });
    note_failure(r.refused[token], why, now);
}

void adapter_table::impl::download_finished(
    const open_call& done, const result<memory_share>& outcome, time_point now, changes& out) {
    --downloads_under_way;
    const auto found = claims.find(done.who);
    if (found == claims.end()) return;
    const auto c = found->second;
    auto& r = records[done.key];
    const bool brought_weights = r.state == adapter_state::downloading;
    close_claim(done.who);
    if (!outcome) {
        if (brought_weights) {
            r.state = adapter_state::unknown;
            r.is_downloaded = false;
        }
        r.is_wanted = false;  // from now on it is fetched for who asks
        proof_failed(r, c.token, outcome.error(), now);
        if (!c.is_internal || c.pending > 0) {
            out.refused.push_back({done.key, done.who, outcome.error()});
        }
        // Those who wait without a proof of their own had only this call.
        if (c.is_internal && brought_weights) out.failed.push_back({done.key, outcome.error()});
        refresh(done.key);
        return;
    }
    r.refused.erase(c.token);
    // Some that are over are kept: should this token be refused later, a load can carry another.
    if (r.proofs.size() >= most_old_proofs) {
        std::erase_if(r.proofs, [now](const auto& old) { return old.second <= now; });
    }
    r.proofs[c.token] = now + settings.proof_lifetime;
    r.proven_token = c.token;
    r.is_downloaded = true;
    if (brought_weights) {
        r.state = adapter_state::downloaded;
        r.share = *outcome;
    }
    out.granted.push_back({done.key, done.who});
    if (brought_weights && r.share > whole_memory) {
        r.state = adapter_state::failed;
        r.is_downloaded = false;  // later it is asked for again: it may have become smaller
        const error too_large{
            errc::no_adapter,
            "the adapter needs " + fraction(r.share) + " of the adapter memory; there is 1 in all"};
        fail_adapter(done.key, too_large, now, out);
    }
    refresh(done.key);
}

void adapter_table::impl::load_finished(
    const open_call& done, const result<memory_share>& outcome, time_point now, changes& out) {
    auto& r = records[done.key];
    if (outcome) {
        r.state = adapter_state::ready;
        r.ready_since = now;
        r.was_served = false;
        r.failure = {};
        r.is_wanted = false;
        r.value.loaded(now - done.started);
        out.became_ready.push_back(done.key);
        refresh(done.key);
        return;
    }
    // Some shards of the group may have it: all are told to let go before its slot is given on.
    r.state = adapter_state::draining;
    draining.push_back(done.key);
    r.is_clean = false;
    r.is_wanted = false;
    fail_adapter(done.key, outcome.error(), now, out);
    refresh(done.key);
}

void adapter_table::impl::offload_finished(
    const open_call& done, const result<memory_share>& outcome, time_point now, changes& out) {
    auto& r = records[done.key];
    // Of an earlier router's weights, before a load.
    const bool was_cleaning = std::exchange(r.is_cleaning, false);
    // An index that may still be occupied is never given out again.
    if (!outcome) r.index = next_index++;
    r.is_clean = outcome.has_value() || !shards_were_up;
    release(r);
    if (!outcome && was_cleaning) fail_adapter(done.key, outcome.error(), now, out);
    const bool is_refused = now < r.failure.until;
    r.state = is_refused ? adapter_state::failed : adapter_state::downloaded;
    refresh(done.key);
}

void adapter_table::finished(
    std::uint64_t call_id, const result<memory_share>& outcome, time_point now, changes& out) {
    auto& t = *impl_;
    const auto found = t.calls.extract(call_id);
    if (!found) return;
    const auto& done = found.mapped();
    switch (done.kind) {
        case call_kind::download: t.download_finished(done, outcome, now, out); break;
        case call_kind::load: t.load_finished(done, outcome, now, out); break;
        case call_kind::offload: t.offload_finished(done, outcome, now, out); break;
    }
}

void adapter_table::shards_lost(
    std::span<const preloaded_adapter> preloaded,
    bool shards_were_up,
    time_point now,
    changes& out) {
    auto& t = *impl_;
    t.calls.clear();
    t.downloads_under_way = 0;
    t.shards_were_up = shards_were_up;
    t.resident.clear();
    t.draining.clear();
    t.offloading.clear();
    t.idle.clear();
    t.busy.clear();
    t.free_memory = whole_memory;
    for (adapter_key key = 1; key < t.records.size(); ++key) {
        auto& r = t.records[key];
        if (!r.is_used || r.is_permanent) continue;
        if (r.state == adapter_state::ready) out.no_longer_ready.push_back(key);
        t.slots.unwant(*r.holder, t.wish_of(key));
        r.state = adapter_state::unknown;
        r.is_clean = !shards_were_up;
        r.is_cleaning = r.is_owed = r.is_given_away = false;
        r.running = 0;
        r.failure = {};
        r.evictable = record::place::none;
        r.is_wanted = r.is_pinned;
        r.drained_since.reset();
        t.forgettable.erase({r.last_used, key});
        r.last_used = std::min(r.last_used, now);
        const auto open = r.claims;
        for (const auto& [token, who] : open) {
            auto& c = t.claims.at(who);
            if (std::exchange(c.is_sent, false)) t.want_download.insert(t.place_of(who, c));
            if (r.waiting == 0) t.close_claim(who);
        }
    }
    t.reset_preloaded(preloaded, out);
    for (adapter_key key = 1; key < t.records.size(); ++key) {
        if (t.records[key].is_used) t.refresh(key);
    }
}

}  // namespace truffula::adapter
