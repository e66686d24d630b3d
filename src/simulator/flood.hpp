#pragma once

#include "simulator/scenario.hpp"
#include "simulator/summary.hpp"

#include <cstddef>
#include <iosfwd>
#include <string>
#include <vector>

namespace truffula::simulator {

/// Ten tenants that ask for one request per second each, but the first, `flood`, for `times` as
/// many: prompts as in workload W, 16 to 112 tokens out, 20 adapters.
///
/// \param seconds how long requests arrive.
workload flood_over_common_adapters(double times, double seconds, std::uint64_t seed);

/// The same, but `flood` asks for 200 adapters of its own: more than there are slots.
workload flood_over_own_adapters(double times, double seconds, std::uint64_t seed);

/// The settings of routers that are flooded: 64 places, 32 slots.
std::vector<router_option> flood_settings(const std::string& policy);

/// The time to the first token of all tenants but `flood`.
latency ttft_of_others(const workload& from, const outcome& of);

/// Writes the goals of docs/benchmarks.md for `fair`, of both floods: what the others wait while
/// the first tenant asks for its share, and while it asks for a hundred times as much; medians over
/// `seeds`.
void print_flood_goals(std::ostream& to, const scenario& fair, std::size_t seeds);

}  // namespace truffula::simulator
