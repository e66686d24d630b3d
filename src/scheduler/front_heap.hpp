#pragma once

#include "truffula/adapter/adapter_table.hpp"
#include "truffula/scheduler/entry.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace truffula::scheduler {

/// Adapters by their first requests, the first of all on top. A heap of four children a node in one
/// array: with ten thousand adapters a tree misses the processor's cache at every level. Pure.
class front_heap {
public:
    struct front {
        queue_place place;
        adapter::adapter_key key = adapter::base_key;
    };

    bool empty() const noexcept { return heap_.empty(); }

    /// \pre not empty.
    const front& top() const { return heap_.front(); }

    /// The adapter's first request is now at `place`; adds the adapter if it is not there.
    void set(adapter::adapter_key key, queue_place place);

    /// Removes the adapter; where its first request was, or the foremost place if it is not there.
    queue_place erase(adapter::adapter_key key);

private:
    void settle(std::size_t at, front f);
    void put(std::size_t at, const front& f);

    std::vector<front> heap_;
    std::vector<std::uint32_t> index_;  // in `heap_`, plus one, by key; 0: not there
};

}  // namespace truffula::scheduler
