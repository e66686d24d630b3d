#pragma once

#include "truffula/scheduler/scheduler_state.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace truffula::scheduler {

namespace detail {
struct core;
}

/// What a request that left a queue occupies. Destruction tells the scheduler that it is free.
class lease {
public:
    lease() = default;
    lease(std::shared_ptr<detail::core> owner, const scheduled_entry& of);
    lease(lease&&) noexcept = default;
    lease& operator=(lease&& other) noexcept;
    ~lease();

    /// So many tokens were made: what the request really cost.
    void note_generated(std::uint32_t tokens) { generated_tokens_ = tokens; }
    std::uint32_t generated_tokens() const { return generated_tokens_; }

private:
    std::shared_ptr<detail::core> owner_;
    std::uint32_t input_tokens_ = 0;
    std::uint32_t new_tokens_ = 0;
    std::uint32_t generated_tokens_ = 0;
    share_ticket share_;
};

/// A request that a batch holds: destroying it gives everything back, and answers its client with
/// an error if nobody has answered yet.
struct batch_entry {
    batch_entry(scheduled_entry w, lease h) : what(std::move(w)), held(std::move(h)) {}
    batch_entry(batch_entry&&) noexcept = default;
    batch_entry& operator=(batch_entry&&) = delete;  // it would drop a client without a word
    ~batch_entry();

    scheduled_entry what;
    lease held;
    bool is_answered = false;  ///< Its client got the last step or an error.
};

/// The requests of a new batch. Destroyed before `commit`, it returns them to their queues.
class scheduled_batch {
public:
    scheduled_batch(std::shared_ptr<detail::core> owner, std::vector<scheduled_entry> entries);
    scheduled_batch(scheduled_batch&&) noexcept = default;
    scheduled_batch& operator=(scheduled_batch&&) = delete;
    ~scheduled_batch();

    const std::vector<scheduled_entry>& entries() const { return entries_; }

    /// Prompt tokens that its Prefill computes.
    std::uint64_t prefill_tokens() const;

    /// Prompt and new tokens of its requests together.
    std::uint64_t total_tokens() const;

    /// Those of `more`, chosen while this one waited for its Prefill, go with it.
    void absorb(scheduled_batch more);

    /// The Prefill is about to be written: the caller owns the entries from here.
    std::vector<batch_entry> commit();

private:
    std::shared_ptr<detail::core> owner_;
    std::vector<scheduled_entry> entries_;
};

/// What the actor tells those who watch it. Called on its executor.
struct scheduler_observer {
    std::function<void(std::size_t)> queue_length;
    std::function<void(std::chrono::steady_clock::duration)> next_batch_time;
    std::function<void(const adapter::adapter_table&)> adapters;  ///< As often.
    /// Why requests wait, and how long a ready adapter with waiters has not been served. Told ten
    /// times a second at most.
    std::function<void(const waiting_by_reason&, std::chrono::steady_clock::duration)> waiting;
    /// Requests per second that leave the shards; 0: not known.
    std::function<void(double)> drain_rate;
    std::function<void(const kv_cache::block_counts&)> blocks;
};

/// Waiting requests, by adapter, and the adapters' life: a cheap, copyable handle to the actor.
///
/// \threads any for `process`, `cancel`, `stop`; the others only on the actor's executor.
class adapter_scheduler {
public:
    /// Starts the actor on `ex`, which is the engine's strand.
    adapter_scheduler(
        boost::asio::any_io_executor ex,
        scheduler_settings settings,
        shard_limits limits,
        scheduler_observer observer = {});

    /// Queues a request; never blocks. After `stop()` it is answered with `errc::stopped`.
    void process(entry e);

    /// A batch of waiting requests; nothing if there is nothing to run now.
    ///
    /// \param adapters_in_use adapters that the running batch names: they are not offloaded.
    /// \param terms when a batch is worth its prefill.
    /// \param prefill_token_budget, token_budget tokens that the new batch may take.
    /// \errors `errc::stopped` after `stop()`; `errc::cancelled` if the waiter was cancelled.
    /// \cancellation terminal. A batch taken too late is destroyed, which returns its entries.
    boost::asio::awaitable<result<std::optional<scheduled_batch>>> next_batch(
        std::vector<adapter_key> adapters_in_use,
        join_terms terms,
        std::uint32_t prefill_token_budget,
        std::uint32_t token_budget);

    /// A batch of waiting requests that do not generate, all of one task; nothing if there are
    /// none. It must have been answered before the next call of this or `next_batch`.
    ///
    /// \param adapters_in_use as above, those of a batch about to join included.
    /// \errors, \cancellation as `next_batch`.
    boost::asio::awaitable<result<std::optional<scheduled_batch>>> next_pooled_batch(
        std::vector<adapter_key> adapters_in_use, std::uint32_t prefill_token_budget);

    /// Waits until one of the two may have a new answer. One waiter at a time.
    ///
    /// \errors `errc::stopped`, `errc::cancelled`.
    boost::asio::awaitable<result<>> wait_runnable();

    /// Whether `wait_runnable` would complete at once: something new may be scheduled since
    /// `next_batch` was last asked.
    bool has_news() const;

    /// Waits until adapter calls are due and starts at most `limit` of them: the caller makes
    /// them and reports each with `finished`. One waiter at a time.
    ///
    /// \errors `errc::stopped`, `errc::cancelled`.
    boost::asio::awaitable<result<std::vector<adapter::call>>> next_calls(std::size_t limit);
    void finished(std::uint64_t call_id, result<adapter::memory_share> outcome);

    /// The adapters known now, at most `most`. \threads any.
    ///
    /// \errors `errc::stopped`, `errc::cancelled`.
    boost::asio::awaitable<result<std::vector<adapter::known_adapter>>> known_adapters(
        std::size_t most);

    /// Its client left: a queued request is removed at once, with its permit.
    void cancel(request_id id);

    /// The shards were lost and are back.
    void shards_changed(shard_limits limits);

    /// Refuses new commands and answers everything that waits with `errc::stopped`.
    void stop();

private:
    std::shared_ptr<detail::core> core_;
};

}  // namespace truffula::scheduler
