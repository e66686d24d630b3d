#pragma once

#include "simulator/scenario.hpp"

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace truffula::simulator {

/// Workload W of docs/benchmarks.md: 1,000 adapters by Zipf 1.0 over 32 slots, 60 s of Poisson
/// arrivals of 100 tokens in and 64 out.
arrival_options workload_w(double rate);

/// The settings of routers that are measured on W: budgets, slots, adapter calls side by side
/// (or, with shards that answer one call at a time, paced).
std::vector<router_option> settings_w(bool overlap);

/// The medians over `seeds` of W at `rate`, seeds 1 … `seeds`.
summary run_w(double rate, const scenario& what, std::size_t seeds);

/// Writes the table of goals, whose figures stand in docs/benchmarks.md: figures of `lorax-router`,
/// of the reference policy, of Truffula, and the goals, at 15, 25, 35 and 50 requests per second.
///
/// \param lorax, truffula what to run as each.
void print_goals(
    std::ostream& to, const scenario& lorax, const scenario& truffula, std::size_t seeds);

}  // namespace truffula::simulator
