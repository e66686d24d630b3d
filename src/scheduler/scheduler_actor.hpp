#pragma once

#include "truffula/actor/mailbox.hpp"
#include "truffula/actor/oneshot.hpp"
#include "truffula/scheduler/adapter_scheduler.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

/// What handles, leases and batches tell the scheduler's actor, and by which way.
namespace truffula::scheduler::detail {

using batch_answer = std::optional<scheduled_batch>;

struct process_command {
    entry what;
};
struct next_batch_command {
    bool is_pooled;  // of requests that do not generate
    std::vector<adapter_key> in_use;
    join_terms terms;
    std::uint32_t prefill_token_budget;
    std::uint32_t token_budget;
    reply<batch_answer> to;
};
struct wait_runnable_command {
    reply<void> to;
};
struct next_calls_command {
    std::size_t limit;
    reply<std::vector<adapter::call>> to;
};
struct finished_command {
    std::uint64_t call_id;
    result<adapter::memory_share> outcome;
};
struct cancel_command {
    request_id id;
};
struct ended_command {
    std::uint32_t input_tokens;
    std::uint32_t new_tokens;
    share_ticket share;
    std::uint32_t generated_tokens;
};
struct give_back_command {
    std::vector<entry> unused;
};
struct shards_changed_command {
    shard_limits limits;
};
struct known_adapters_command {
    std::size_t most;
    reply<std::vector<adapter::known_adapter>> to;
};
struct deadline_command {};

using command = std::variant<
    process_command,
    next_batch_command,
    wait_runnable_command,
    next_calls_command,
    finished_command,
    cancel_command,
    ended_command,
    give_back_command,
    shards_changed_command,
    known_adapters_command,
    deadline_command>;

/// The mailbox that handle, leases and batches share with the actor.
struct core {
    core(boost::asio::any_io_executor ex, scheduler_observer o)
        : inbox(ex), timer(ex), observer(std::move(o)) {}

    mailbox<command> inbox;
    asio::steady_timer timer;  // of the state's next deadline; the actor's own
    scheduler_observer observer;
    bool has_news = false;
};

/// How who is too late is answered.
inline error stopped() {
    return {errc::stopped, "the router is shutting down"};
}

/// Starts the actor on `ex`; it ends when the inbox of `with` is closed.
void start_actor(
    boost::asio::any_io_executor ex,
    std::shared_ptr<core> with,
    scheduler_settings settings,
    shard_limits limits);

}  // namespace truffula::scheduler::detail
