#pragma once

#include "truffula/adapter/adapter_table.hpp"
#include "truffula/scheduler/entry.hpp"

#include <memory>
#include <optional>

namespace truffula::scheduler {

/// In which order adapters are asked for their oldest waiting request. Pure.
class policy {
public:
    virtual ~policy() = default;

    /// The adapter may be scheduled and `front` is its first request; replaces an earlier offer.
    /// \param fresh_until end of the adapter's cycle time; no end: the order knows none.
    virtual void offer(adapter::adapter_key key, queue_place front, time_point fresh_until) = 0;

    /// Nothing of the adapter may be scheduled.
    virtual void withdraw(adapter::adapter_key key) = 0;

    /// The adapter whose turn it is, among those with a front not behind `last`.
    virtual std::optional<adapter::adapter_key> next(time_point now, queue_place last) = 0;

    /// The adapter with the first front of all that are offered.
    virtual std::optional<adapter::adapter_key> oldest() const = 0;
};

/// LoRAX's order: adapters within their cycle time first, then the oldest front (contract 12.3).
std::unique_ptr<policy> make_fifo_policy();

}  // namespace truffula::scheduler
