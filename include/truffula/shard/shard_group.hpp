#pragma once

#include "truffula/adapter/identity.hpp"
#include "truffula/error/error.hpp"
#include "truffula/inference/request.hpp"
#include "truffula/shard/answers.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace truffula::shard {

/// One request of a Prefill. Referenced data must live until `start_prefill` has returned.
struct prefill_request {
    std::uint64_t id = 0;
    const inference::request* what = nullptr;
    std::string adapter_id;  ///< Of a single adapter; empty for base and merged ones.
    std::uint32_t adapter_index = 0;
    std::span<const std::uint32_t> blocks;
    std::uint32_t block_size = 1;            ///< Tokens; slots follow from it.
    std::uint32_t slot_count = 0;            ///< Tokens that `blocks` are reserved for.
    std::uint32_t cache_len = 0;             ///< Tokens that the first blocks hold already.
    std::optional<std::uint32_t> chunk_len;  ///< Tokens to compute now; none: the whole prompt.
};

/// A new batch (contract 12.2).
struct prefill_batch {
    std::uint64_t id = 0;
    std::vector<prefill_request> requests;
    std::uint32_t max_tokens = 0;
    std::uint32_t max_blocks = 0;

    /// Chunked prefill: the running batch, which does a step in the same call and is one batch with
    /// this afterwards, as the answer says. None: the batch runs alone.
    const cached_batch* running = nullptr;
};

/// An adapter call, whichever of the three it is.
struct adapter_call {
    adapter::parameters what;
    adapter::source from = adapter::source::hub;
    std::string api_token;    ///< Empty: none sent.
    std::uint32_t index = 0;  ///< Load and offload.
};

/// The size of the warm-up (contract section 3).
struct warmup_limits {
    std::uint32_t max_input_length = 0;
    std::uint32_t max_prefill_tokens = 0;
    std::uint32_t max_total_tokens = 0;
};

/// A call whose request has left: written to the sockets, as far as they took it, when the function
/// that gave it returned. So the caller can work while the shards compute.
template <class T>
class pending_call {
public:
    /// Dropped before its answer came: the call is given up (as by cancellation).
    virtual ~pending_call() = default;

    /// Waits for the answer; once.
    virtual boost::asio::awaitable<result<T>> get() = 0;
};

/// A call whose answer can be acted on where it arrives, before a coroutine has gone on.
template <class T>
class direct_call : public pending_call<T> {
public:
    /// Shows the answer to `first` in the moment that it comes, now if it is there already, and in
    /// any case before `get()` gives it; never once the call was dropped. `first` may start other
    /// calls, and take what it is shown.
    virtual void on_answer(std::function<void(result<T>&)> first) = 0;
};

/// All shards of one model, driven as one. Calls that compute must not overlap.
///
/// Every call fails with `errc::rpc_failed` (the shard's words), `errc::connection`,
/// `errc::deadline_exceeded`, `errc::protocol` (answers that contradict each other or cannot be
/// read) or `errc::cancelled`. After `errc::connection` the group has to be made anew.
/// \cancellation terminal; the call is given up, its answer ignored.
/// \threads only the executor it was made on.
class shard_group {
public:
    template <class T = void>
    using awaitable_result = boost::asio::awaitable<result<T>>;
    using duration = std::chrono::steady_clock::duration;

    virtual ~shard_group() = default;

    virtual std::size_t size() const = 0;

    template <class T>
    using started = std::unique_ptr<pending_call<T>>;
    using started_step = std::unique_ptr<direct_call<step_answer>>;

    /// Runs a new batch's prompts (contract 12.3 A and C). `batch` may go once
    /// the function has returned.
    virtual started_step start_prefill(const prefill_batch& batch) = 0;

    /// One step for `batches`, which are one batch, the first's id, afterwards. Nothing but this
    /// stands between a shard's answer and its next step: keep it short.
    virtual started_step start_decode(std::span<const cached_batch* const> batches) = 0;

    /// Keeps `request_ids` of a batch.
    virtual started<cached_batch> start_filter(
        std::uint64_t batch_id, std::span<const std::uint64_t> request_ids) = 0;

    /// Computes a batch of requests that do not generate; `batch` may go once the function has
    /// returned. The shards keep nothing of it. Every shard answers for all requests: the first
    /// answer for an id counts.
    virtual started<std::vector<pooled_result>> start_embed(const prefill_batch& batch) = 0;
    virtual started<std::vector<pooled_result>> start_classify(const prefill_batch& batch) = 0;

    /// Forgets a batch, or all.
    virtual awaitable_result<> clear_cache(std::optional<std::uint64_t> batch_id) = 0;

    /// The share of adapter memory (0 … 1, in millionths) the adapter will take. First shard only.
    virtual awaitable_result<std::uint32_t> download_adapter(
        adapter_call call, duration timeout) = 0;
    virtual awaitable_result<> load_adapter(adapter_call call, duration timeout) = 0;
    virtual awaitable_result<> offload_adapter(adapter_call call, duration timeout) = 0;

    /// RPC Health on all shards; all have to agree.
    virtual awaitable_result<> health() = 0;

    /// The dummy request of contract section 13, outside every batch.
    virtual awaitable_result<> health_request(inference::task kind) = 0;

    /// Time between the arrival of the last answer to Prefill, Decode or FilterBatch (all shards)
    /// and the write of the last Decode; none if another call stood between them.
    virtual std::optional<duration> last_step_gap() const = 0;

    /// Takes what has arrived from the shards, without waiting for it: calls may be answered
    /// inside. Answers come without it, too, but only when the executor's thread has woken up.
    /// The caller keeps the group until it returns.
    virtual void poll() = 0;
};

struct group_settings {
    std::string master = "unix:///tmp/lorax-server-0";  ///< `unix:///path` or `tcp://host:port`.
    std::chrono::seconds call_timeout{60};
    std::chrono::seconds warmup_timeout{900};
    std::chrono::seconds connect_timeout{600};  ///< How long to wait for a shard to appear.
    warmup_limits warmup;
};

/// A group that has gone through ServiceDiscovery, ClearCache, Info and Warmup.
struct started_group {
    std::unique_ptr<shard_group> group;
    model_info info;
    std::optional<std::uint32_t> max_supported_total_tokens;  ///< The smallest of the shards.
    /// The first attempt to connect succeeded: at a router's start it may hold old adapters.
    bool was_up = false;
};

/// Connects and runs the start sequence; logs what it waits for, with progress. The same for the
/// first start and for every reconnect.
///
/// \errors as the calls of `shard_group`, the detail led by the step that failed.
/// \cancellation terminal.
boost::asio::awaitable<result<started_group>> start_group(group_settings settings);

}  // namespace truffula::shard
