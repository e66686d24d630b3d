#pragma once

#include "truffula/adapter/adapter_table.hpp"
#include "truffula/error/error.hpp"
#include "truffula/inference/request.hpp"
#include "truffula/kv_cache/block_allocator.hpp"
#include "truffula/scheduler/admission.hpp"
#include "truffula/scheduler/fair_shares.hpp"

#include <chrono>
#include <compare>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>

namespace truffula::scheduler {

using time_point = std::chrono::steady_clock::time_point;

/// Names a request for its whole life; given out in the order of arrival, which is how the
/// scheduler reads it.
using request_id = std::uint64_t;

/// Where a request stands: those of least rank first, in the order of arrival among equals.
struct queue_place {
    double rank = 0;  ///< Virtual time, where the policy shares; else 0 for all.
    request_id id = 0;
    auto operator<=>(const queue_place&) const = default;
};

/// Behind all.
inline constexpr queue_place everybody{
    std::numeric_limits<double>::infinity(), std::numeric_limits<request_id>::max()};

/// Where the outcome of a queued request goes.
class sink {
public:
    virtual ~sink() = default;

    /// Ends the request with an error. \threads the engine's.
    virtual void fail(error why) = 0;

    /// Its client has left. \threads any.
    virtual bool abandoned() const noexcept = 0;
};

/// A request on its way to a batch, with all that is given back when it leaves.
struct entry {
    request_id id = 0;
    std::shared_ptr<const inference::request> what;
    std::shared_ptr<const adapter::adapter_ref> adapter;
    std::shared_ptr<sink> to;
    permit admission;
    time_point created;         ///< Queued by its client.
    std::uint32_t attempt = 0;  ///< Counts up when the shards lost it and it was queued again.

    /// In a batch by then, or it fails; the scheduler adds its own limit.
    std::optional<time_point> deadline;

    // The scheduler's own: how often, and since when, younger requests went first.
    std::uint32_t overtakes = 0;
    std::optional<time_point> overtaken_since;
    share_ticket share;
    kv_cache::block_memo memo;  // of the blocks it did not get

    queue_place place() const { return {share.rank, id}; }
};

}  // namespace truffula::scheduler
