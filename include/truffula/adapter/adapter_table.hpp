#pragma once

#include "truffula/adapter/identity.hpp"
#include "truffula/error/error.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::adapter {

using time_point = std::chrono::steady_clock::time_point;
using std::chrono::steady_clock;

/// Names an adapter in the table; dense, reused after `changes::forgotten`. 0 is the base model.
using adapter_key = std::uint32_t;
constexpr adapter_key base_key = 0;

/// Names an api token's claim to one adapter. 0: none is needed, or it is proven already.
using credential = std::uint64_t;

/// Millionths of the shards' adapter memory.
using memory_share = std::uint32_t;
constexpr memory_share whole_memory = 1'000'000;

struct table_settings {
    std::size_t max_active_adapters = 128;       ///< Slots. The base model takes none.
    std::chrono::milliseconds cycle_time{2000};  ///< Residence of a busy one while others wait.
    std::size_t download_concurrency = 4;
    std::size_t load_concurrency = 16;  ///< Loads and offloads together.
    std::chrono::seconds download_timeout{600};
    std::chrono::seconds load_timeout{120};
    std::chrono::seconds proof_lifetime{300};       ///< How long a token stays authorised.
    std::chrono::milliseconds first_backoff{5000};  ///< After a failure; doubles.
    std::chrono::milliseconds last_backoff{300'000};
    std::size_t max_known_adapters = 10'000;      ///< Neither resident nor waited for.
    std::size_t max_downloads_per_tenant = 1024;  ///< Waiting or running at a time.
    std::vector<adapter_ref> pinned;  ///< Loaded before anybody asks, and never evicted.
    bool shares_slots = false;        ///< Among tenants; else whoever asks first has them.
    std::map<std::string, double> tenant_weights;  ///< Of that; a tenant not named has 1.
};

enum class adapter_state : std::uint8_t {
    unknown,  ///< Not on the shards; a download is due once somebody waits.
    downloading,
    downloaded,
    loading,
    ready,
    draining,  ///< Still used by running requests; its queue waits.
    offloading,
    failed,  ///< Its download or load did not succeed; refused until the back-off is over.
};

/// Its name in metrics and answers.
std::string_view state_name(adapter_state state) noexcept;

/// An adapter that the table knows.
struct known_adapter {
    std::vector<std::string> ids;  ///< More than one: merged.
    adapter_state state = adapter_state::unknown;
    /// The shards can have it: the last download succeeded, and the last load, if there was one.
    bool is_usable = false;
};

enum class call_kind : std::uint8_t { download, load, offload };

/// An adapter call that is due. The caller makes it and reports with `finished`.
struct call {
    std::uint64_t id = 0;
    call_kind kind = call_kind::download;
    adapter_key key = base_key;
    parameters what;
    source from = source::hub;
    std::string api_token;    ///< Empty: none.
    std::uint32_t index = 0;  ///< The shards' number for the adapter.
    std::chrono::seconds timeout{0};
};

/// What the owner of the queues has to act on. Lists are in the order of events.
struct changes {
    struct grant {
        adapter_key key = base_key;
        credential who = 0;
    };
    struct refusal {
        adapter_key key = base_key;
        credential who = 0;
        error why;
    };
    struct failure {
        adapter_key key = base_key;
        error why;
    };
    std::vector<adapter_key> became_ready;     ///< Its queue may be scheduled.
    std::vector<adapter_key> no_longer_ready;  ///< Its queue has to wait.
    std::vector<grant> granted;                ///< Entries of that credential may queue.
    std::vector<refusal> refused;              ///< Entries of that credential fail, no others.
    std::vector<failure> failed;               ///< All entries of the adapter fail.
    std::vector<std::pair<adapter_key, std::uint32_t>> forgotten;  ///< Key and index are free.

    bool empty() const noexcept;
};

/// Who may use which adapter, where it is, and which adapter calls are due: the only owner of
/// adapter states, slots and memory (design section 6). Pure: no I/O, no clock.
///
/// The owner of the queues reports its counts with the `set_…` functions (idempotent, so they can
/// not drift), asks `due()` whenever something changed, and acts on `changes`.
class adapter_table {
public:
    /// \param preloaded always ready, matched by parameters whatever source or token is given;
    ///        they keep their index, take no slot and no memory.
    /// \param shards_were_up the shards may hold adapters of an earlier router: an index is
    ///        offloaded before its first use.
    struct preloaded_adapter {
        parameters what;
        std::uint32_t index = 0;
    };
    adapter_table(
        table_settings settings, std::span<const preloaded_adapter> preloaded, bool shards_were_up);
    ~adapter_table();
    adapter_table(adapter_table&&) noexcept;
    adapter_table& operator=(adapter_table&&) noexcept;

    struct joined {
        adapter_key key = base_key;
        credential pending = 0;  ///< Not 0: wait for `granted` or `refused` of this credential.
    };

    /// Finds or adds the adapter that a request names. Follow with `set_waiting`.
    ///
    /// \errors `errc::rpc_failed` with the words of the failure while the negative cache holds it;
    /// `errc::overloaded` when the tenant has too many downloads waiting.
    result<joined> join(const adapter_ref& ref, time_point now);

    /// `count` entries wait for the adapter (granted or not), the oldest since `oldest`.
    ///
    /// \param first_rank of the one that is to go first, where they are ranked: adapters are loaded
    ///        in the order of it, then of age.
    void set_waiting(adapter_key key, std::size_t count, time_point oldest, double first_rank = 0);

    /// `count` entries wait for the proof of `who`.
    void set_pending(adapter_key key, credential who, std::size_t count);

    /// `count` requests in batches name the adapter (formed, running, or not yet dropped by the
    /// shards).
    void set_running(adapter_key key, std::size_t count, time_point now);

    /// At least one waiter was taken into a batch: from now on it may be evicted again.
    void served(adapter_key key);

    /// The calls to start now, at most `limit`, most urgent first; they count as started.
    std::vector<call> due(time_point now, std::size_t limit, changes& out);

    /// The outcome of a call; downloads answer their memory share. Unknown ids are ignored (a call
    /// of before `shards_lost`).
    void finished(
        std::uint64_t call_id, const result<memory_share>& outcome, time_point now, changes& out);

    /// The shards lost everything: calls under way are forgotten, what was resident is unknown.
    void shards_lost(
        std::span<const preloaded_adapter> preloaded,
        bool shards_were_up,
        time_point now,
        changes& out);

    /// When `due` may answer something new without another event; nothing: never.
    std::optional<time_point> next_deadline(time_point now) const;

    bool is_ready(adapter_key key) const;  ///< True for base and preloaded.
    adapter_state state(adapter_key key) const;
    std::uint32_t index(adapter_key key) const;     ///< The shards' number.
    time_point ready_since(adapter_key key) const;  ///< Only while ready or draining.
    memory_share free_memory() const;
    memory_share share(adapter_key key) const;  ///< 0 until its download has told it.
    std::size_t active() const;                 ///< Slots taken.

    /// The adapters known, preloaded ones included, the base model not; at most `most`, the usable
    /// ones first: names of others are the clients' to make up.
    std::vector<known_adapter> known(std::size_t most) const;

    /// How many adapters are in each state, in the order of the enum.
    std::vector<std::size_t> count_by_state() const;

    /// Whether its slot can become another's: not the base model, preloaded or pinned.
    bool may_leave(adapter_key key) const;

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace truffula::adapter
