#pragma once

#include "simulator/router_model.hpp"

#include <cstdint>
#include <functional>
#include <queue>
#include <span>
#include <vector>

namespace truffula::simulator {

/// The shards of a simulation: what their calls cost, and when they have done them. Pure; knows
/// nothing of batches.
class modelled_shards {
public:
    static constexpr auto never = time_point::max();

    /// \param costs must outlive this.
    explicit modelled_shards(const shard_costs& costs) : costs_(costs) {}

    duration prefill_cost(const workload& from, std::span<const request_index> batch) const;
    duration decode_cost(std::size_t sequences) const;

    /// A step reaches the shards at `at`.
    /// \returns when they have done it; without `overlap` calls wait for those that came before.
    time_point step(time_point at, duration cost) { return occupy(at, cost); }

    /// An adapter call reaches the shards at `at`.
    void call(const adapter_call& what, time_point at);

    /// When the first of the adapter calls ends; `never`: none is open.
    time_point next_end() const { return calls_.empty() ? never : calls_.top().end; }

    /// Takes the adapter call that ends first. One must be open.
    adapter_call take_ended();

private:
    struct open_call {
        time_point end;
        std::uint64_t order;
        adapter_call what;
        bool operator>(const open_call& other) const {
            return std::pair{end, order} > std::pair{other.end, other.order};
        }
    };

    duration cost_of(const adapter_call& call) const;
    time_point occupy(time_point at, duration cost);

    const shard_costs& costs_;
    time_point free_ = time_point::min();
    std::priority_queue<open_call, std::vector<open_call>, std::greater<>> calls_;
    std::uint64_t next_order_ = 0;
};

}  // namespace truffula::simulator
