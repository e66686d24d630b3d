#include "simulator/modelled_shards.hpp"

#include <algorithm>
#include <utility>

namespace truffula::simulator {

duration modelled_shards::prefill_cost(
    const workload& from, std::span<const request_index> batch) const {
    auto cost = costs_.prefill_base;
    for (const auto r : batch) cost += costs_.prefill_token * from.arrivals[r].input_tokens;
    return cost;
}

duration modelled_shards::decode_cost(std::size_t sequences) const {
    return costs_.decode_base + costs_.decode_sequence * sequences;
}

void modelled_shards::call(const adapter_call& what, time_point at) {
    calls_.push({occupy(at, cost_of(what)), next_order_++, what});
}

adapter_call modelled_shards::take_ended() {
    const auto call = calls_.top().what;
    calls_.pop();
    return call;
}

duration modelled_shards::cost_of(const adapter_call& call) const {
    if (call.adapter == 0) return duration{0};
    switch (call.kind) {
        case adapter::call_kind::download: return costs_.download;
        case adapter::call_kind::load: return costs_.load;
        case adapter::call_kind::offload: return costs_.offload;
    }
    return duration{0};
}

time_point modelled_shards::occupy(time_point at, duration cost) {
    if (costs_.overlap) return at + cost;
    free_ = std::max(at, free_) + cost;
    return free_;
}

}  // namespace truffula::simulator
