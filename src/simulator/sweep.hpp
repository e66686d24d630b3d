#pragma once

#include "simulator/scenario.hpp"

#include <cstddef>
#include <functional>
#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

namespace truffula::simulator {

/// A router option and the values to try.
using varied_option = std::pair<std::string, std::vector<std::string>>;

/// One combination of values and what it gave.
struct sweep_point {
    std::vector<router_option> chosen;
    config::settings settings;
    summary figures;       ///< Medians over the workloads.
    bool is_best = false;  ///< On the Pareto front: none has more throughput and a lower p99.
};

/// All combinations, in the order of the values as given; `figures` are still empty.
///
/// \param fixed options that all of them share; the varied ones win.
/// \errors `errc::invalid_config`: more than 10,000, or what is wrong with a combination.
result<std::vector<sweep_point>> combine(
    const std::string& config_file,
    const std::vector<router_option>& fixed,
    const std::vector<varied_option>& varied);

/// Marks the points on the Pareto front of tokens per second and p99 time to first token. Points
/// where requests failed are never on it.
void mark_best(std::vector<sweep_point>& points);

/// Simulates each point with each workload.
///
/// \param what all but the router's settings.
void run_sweep(
    std::vector<sweep_point>& points,
    const std::vector<workload>& workloads,
    scenario what,
    const std::function<void(double)>& progress);

/// The front as a table, its lowest p99 first.
void write_sweep(std::ostream& to, const std::vector<sweep_point>& points);

/// All points, with the front marked: JSON, and a page with a plot.
std::string sweep_json(const std::vector<sweep_point>& points);
void write_sweep_html(std::ostream& to, const std::vector<sweep_point>& points);

}  // namespace truffula::simulator
