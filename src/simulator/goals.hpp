#pragma once

#include "simulator/scenario.hpp"

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace truffula::simulator {

/// The columns of the table, times in milliseconds but for `done_after` (seconds). Nothing: not
/// known, or not part of a goal.
struct figures {
    std::optional<double> ttft_mean;
    std::optional<double> ttft_p99;
    std::optional<double> jain;
    std::optional<double> loads;
    std::optional<double> done_after;
    std::optional<double> inter_token_p99;
};

figures figures_of(const summary& s);

/// What is wanted of Truffula on W at `rate`, with adapter calls beside steps; all nothing at a
/// rate without a goal.
figures goal_at(double rate);

/// Whether `f`, which has all figures, reaches `wanted`.
bool holds(const figures& f, const figures& wanted);

/// Writes the head of a table of figures, and one of its lines.
void write_head(std::ostream& to, double rate);
void write_row(std::ostream& to, const std::string& who, const figures& f);

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
