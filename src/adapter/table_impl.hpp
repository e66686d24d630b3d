#pragma once

#include "adapter/slot_shares.hpp"
#include "truffula/adapter/adapter_table.hpp"
#include "truffula/adapter/worth.hpp"

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

namespace truffula::adapter {

/// A download that is wanted: of the weights, or only to prove an api token's right to them.
struct claim {
    adapter_key key = base_key;
    std::string token;
    std::string tenant;
    std::size_t pending = 0;  ///< Entries that wait for the proof.
    time_point since;
    std::uint64_t turn = 0;  ///< Among the downloads of all tenants.
    bool is_sent = false;
    bool is_internal = false;  ///< For entries that are granted already.
};

/// Who asks for downloads. Each tenant's take successive turns, from the one that is served now:
/// however many one asks for at once, another's first waits for one of each tenant.
struct download_line {
    std::size_t open = 0;         ///< Claims.
    std::uint64_t last_turn = 0;  ///< Of the last one that was opened.
};

/// Why a token, or an adapter, is refused for a while.
struct refusal_note {
    error why;
    time_point until;
    std::chrono::milliseconds backoff{0};
};

/// One adapter the table knows.
struct record {
    adapter_ref ref;
    std::string identity;
    std::uint32_t index = 0;
    adapter_state state = adapter_state::unknown;
    bool is_used = false;        ///< The key is taken.
    bool is_permanent = false;   ///< Base or preloaded: always ready.
    bool is_downloaded = false;  ///< The last try succeeded.
    bool is_clean = true;        ///< Nothing of an earlier router is at its index.
    bool was_served = false;     ///< Since it became ready.
    bool is_cleaning = false;    ///< The offload under way is of an earlier router's weights.
    bool is_pinned = false;      ///< Never evicted.
    bool is_wanted = false;      ///< Pinned, and to be loaded though nobody waits.

    std::size_t waiting = 0;
    std::size_t running = 0;
    time_point oldest;
    double first_rank = 0;  ///< Of its first waiter, where waiters are ranked.
    time_point last_used;
    time_point ready_since;
    std::optional<time_point> drained_since;  ///< Busy, and to leave once nothing runs.
    memory_share share = 0;
    worth value;

    slot_holder* holder = nullptr;  ///< Whose slot it takes; none: base or preloaded.
    time_point kept_since;          ///< Asked for by its holder, or by one with as few slots.
    bool is_given_away = false;     ///< It leaves for another holder's adapter.
    bool is_owed = false;           ///< Others left for it though they have fewer slots.
    bool takes_slot = false;        ///< Counted so: on the shards, not pinned, not given away.

    // Where it stands among those that may be evicted.
    enum class place : std::uint8_t { none, idle, busy };
    place evictable = place::none;
    double rank = 0;  ///< While idle.

    std::string proven_token;                     ///< The one that `LoadAdapter` carries.
    std::map<std::string, time_point> proofs;     ///< Token → authorised until.
    std::map<std::string, credential> claims;     ///< Token → open claim.
    std::map<std::string, refusal_note> refused;  ///< Token → negative cache.
    refusal_note failure;                         ///< Of the adapter itself.

    bool is_usable() const {
        return is_permanent || (is_downloaded && failure.backoff.count() == 0);
    }
    /// A download that failed concerns its token only, so that it is no state of its own.
    adapter_state shown_state() const {
        if (is_permanent) return adapter_state::ready;
        const bool has_failed = state == adapter_state::unknown && !is_downloaded;
        return has_failed && !refused.empty() ? adapter_state::failed : state;
    }
};

struct adapter_table::impl {
    struct open_call {
        call_kind kind;
        adapter_key key;
        credential who;  // of a download
        time_point started;
    };
    using by_age = std::set<std::pair<time_point, std::uint64_t>>;

    impl(table_settings s, std::span<const preloaded_adapter> preloaded, bool shards_were_up);

    // registry.cpp: which adapters are known
    adapter_key find_or_add(const adapter_ref& ref, time_point now);
    adapter_key take_key();
    void pin(const adapter_ref& ref, time_point now);
    void reset_preloaded(std::span<const preloaded_adapter> preloaded, changes& out);
    void give_up_index(std::uint32_t index);
    void forget_least_used(changes& out);
    void hold(adapter_key key, slot_holder& by, time_point now);
    void let_go(record& r);
    void asked_by(adapter_key key, const std::string& tenant, time_point now);

    // claims.cpp: which tokens may use them
    bool needs_token(const record& r) const;
    std::optional<error> refused(record& r, const std::string& token, time_point now);
    credential open_claim(
        adapter_key key, const std::string& token, const std::string& tenant, time_point since);
    void close_claim(credential who);
    bool has_granted(const record& r) const;

    // adapter_table.cpp: what a record's changes mean for the ordered sets
    void refresh(adapter_key key);
    void refresh_evictable(adapter_key key);
    wish wish_of(adapter_key key) const {
        return {records[key].first_rank, records[key].oldest, key};
    }

    // due.cpp: which calls to make
    bool downloads_are_overdue(time_point now) const;
    void due_downloads(time_point now, std::size_t limit, std::vector<call>& out);
    void due_loads(time_point now, std::size_t limit, std::vector<call>& out, changes& c);
    void undrain(changes& c);
    struct room {
        std::size_t slots = 0;
        std::uint64_t memory = 0;
    };
    room leaving_room(bool is_gone) const;
    void drain(adapter_key key, const slot_holder& by, time_point now, changes& c);
    void note_drained(record& r, time_point now);
    steady_clock::duration drain_lead() const;
    enum class eviction : std::uint8_t { enough, nobody, not_its_share };
    eviction evict_for(
        record& who, std::size_t more_slots, room missing, room free, time_point now, changes& c);
    struct givers {
        const slot_holder* only;  // none: whoever has the least level, or a higher one
        double least_level;
    };
    givers givers_for(const record& who, std::size_t more_slots, const room& free) const;
    bool may_go(const record& r, const givers& from, time_point now);
    void check_at(time_point when);
    call make_call(call_kind kind, adapter_key key, credential who, time_point now);
    std::size_t loads_under_way() const;

    // outcomes.cpp: what calls did
    void download_finished(
        const open_call& done, const result<memory_share>& outcome, time_point now, changes& out);
    void load_finished(
        const open_call& done, const result<memory_share>& outcome, time_point now, changes& out);
    void offload_finished(
        const open_call& done, const result<memory_share>& outcome, time_point now, changes& out);
    void proof_failed(record& r, const std::string& token, const error& why, time_point now) const;
    void fail_adapter(adapter_key key, error why, time_point now, changes& out);
    void release(record& r);
    void note_failure(refusal_note& note, const error& why, time_point now) const;

    table_settings settings;
    bool shards_were_up;
    std::vector<record> records;  // by key
    std::vector<adapter_key> free_keys;
    std::set<std::uint32_t> free_indices;
    std::uint32_t next_index = 1;
    std::unordered_map<std::string, adapter_key> by_identity;
    std::unordered_map<std::string, adapter_key> preloaded_by_ids;
    std::unordered_map<std::string, download_line> download_lines;  // by tenant
    std::uint64_t download_turn = 0;                                // of the last that was sent
    std::map<credential, claim> claims;
    std::map<std::uint64_t, open_call> calls;
    std::uint64_t next_call = 1;
    credential next_credential = 1;

    using download_place = std::tuple<std::uint64_t, time_point, credential>;
    static download_place place_of(credential who, const claim& c) {
        return {c.turn, c.since, who};
    }
    std::set<download_place> want_download;  // claims not sent, by turn, then by age
    slot_shares slots;                       // and who waits for one
    by_age forgettable;                      // keys, by last use
    std::set<adapter_key> resident;          // loading, ready, draining, offloading
    std::vector<adapter_key> draining;       // in the order in which they were told to leave
    std::set<adapter_key> offloading;
    std::set<std::pair<double, adapter_key>> idle;  // may be evicted, the least worth first
    by_age busy;  // may be evicted after their cycle time, by when they became ready
    steady_clock::duration drain_time{};  // average of the last busy ones
    std::vector<adapter_key> wanting;     // of `due_loads`: kept for its memory
    std::string asked_for;                // of `find_or_add`, likewise
    memory_share free_memory = whole_memory;
    std::size_t downloads_under_way = 0;
    std::optional<time_point> next_check;  // when an eviction becomes possible by time alone
};

}  // namespace truffula::adapter
