#pragma once

#include "simulator/outcome.hpp"

#include <functional>

namespace truffula::simulator {

/// How the router under simulation works, beside its scheduler's rules.
struct engine_options {
    bool eager_prefill = false;
    bool paced_adapter_calls = true;  ///< One is started per step while requests run.
    duration call_gap{0};             ///< From the answer of a step to the next call.
    duration adapter_call_gap{0};     ///< The same of an adapter call.
    bool filters_ended = false;       ///< A FilterBatch, one more gap, after requests ended.
};

/// Runs `from` to its end in virtual time. The same arguments give the same outcome.
///
/// \param progress called now and then with the share that is done, 0 … 1; may be empty.
outcome simulate(
    const workload& from,
    router_model& router,
    const shard_costs& costs,
    const engine_options& options,
    const std::function<void(double)>& progress = {});

}  // namespace truffula::simulator
