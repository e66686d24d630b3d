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

    /// The adapter may be scheduled and `front` is its oldest request; replaces an earlier offer.
    /// \param fresh_until end of the adapter's cycle time.
    virtual void offer(adapter::adapter_key key, request_id front, time_point fresh_until) = 0;

    /// Nothing of the adapter may be scheduled.
    virtual void withdraw(adapter::adapter_key key) = 0;

    /// The adapter whose turn it is, among those with a front not younger than `youngest`.
    virtual std::optional<adapter::adapter_key> next(time_point now, request_id youngest) = 0;

    /// The adapter with the oldest front of all that are offered.
    virtual std::optional<adapter::adapter_key> oldest() const = 0;
};

/// LoRAX's order: adapters within their cycle time first, then the oldest front (contract 12.3).
std::unique_ptr<policy> make_fifo_policy();

}  // namespace truffula::scheduler
