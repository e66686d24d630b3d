#pragma once

#include "simulator/workload.hpp"
#include "truffula/adapter/adapter_table.hpp"
#include "truffula/config/settings.hpp"
#include "truffula/scheduler/entry.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace truffula::simulator {

using scheduler::time_point;

/// Index of a request in `workload::arrivals`.
using request_index = std::uint32_t;

/// What the shards take for a call, and what adapters take of their memory.
struct shard_costs {
    duration prefill_base = std::chrono::milliseconds{10};
    duration prefill_token{0};
    duration decode_base = std::chrono::milliseconds{15};
    duration decode_sequence = std::chrono::microseconds{50};
    duration download = std::chrono::milliseconds{50};
    duration load = std::chrono::milliseconds{20};
    duration offload{0};
    double adapter_memory = 0.02;  ///< Fraction of the shards' adapter memory.
    bool overlap = true;           ///< Adapter calls run beside steps and each other.
};

/// An adapter call that a router wants made.
struct adapter_call {
    std::uint64_t id = 0;
    adapter::call_kind kind = adapter::call_kind::download;
    std::uint32_t adapter = 0;  ///< Index into `workload::adapters`.
};

/// A request that ended without an answer.
struct failure {
    request_index request = 0;
    std::string why;
};

/// A router's decisions: who waits, who joins, which adapter calls are due. The simulation makes
/// the calls, keeps the time, and tells what happened. Pure.
class router_model {
public:
    virtual ~router_model() = default;

    /// Whether joining requests are chosen before each Decode; else while it computes, and before
    /// the next only when there is news.
    virtual bool chooses_before_decode() const = 0;

    virtual void submit(request_index request, time_point now) = 0;

    /// Requests to prefill when nothing runs, or to join those that run; empty: none. Valid until
    /// the next call.
    virtual std::span<const request_index> first_batch(time_point now) = 0;
    virtual std::span<const request_index> joining_batch(time_point now) = 0;

    /// Requests that came since `planned` were chosen to join, to go with them.
    virtual std::span<const request_index> late_batch(
        std::span<const request_index> planned, time_point now) = 0;

    /// A Prefill or Decode was answered.
    ///
    /// \param tokens of all its prompts.
    /// \param took from the call to its answer.
    /// \param joined others were running.
    virtual void prefilled(std::uint64_t tokens, duration took, bool joined) = 0;
    virtual void decoded(duration took) = 0;

    /// The shards are done with the request.
    virtual void ended(request_index request, time_point now) = 0;

    /// Whether there is news: a batch may be found where there was none the last time.
    virtual bool is_runnable() const = 0;

    /// Appends the adapter calls to make now, at most `limit`.
    virtual void due(time_point now, std::size_t limit, std::vector<adapter_call>& out) = 0;
    virtual void finished(const adapter_call& call, time_point now) = 0;

    /// When `due` may have an answer without another event.
    virtual std::optional<time_point> next_deadline(time_point now) = 0;

    /// Requests that failed since the last call.
    virtual std::vector<failure> take_failed() = 0;

    virtual std::size_t waiting() const = 0;
};

/// Truffula's own scheduler and adapter table, the code that the router runs.
/// `adapters.pinned` is not simulated: nothing is loaded before it is asked for.
std::unique_ptr<router_model> make_truffula_model(
    const workload& from, const config::settings& settings, const shard_costs& costs);

/// The rules of LoRAX's router (contract 12.1 to 12.3), for comparison.
std::unique_ptr<router_model> make_lorax_model(
    const workload& from, const config::settings& settings, const shard_costs& costs);

}  // namespace truffula::simulator
