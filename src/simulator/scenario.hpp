#pragma once

#include "simulator/arrivals.hpp"
#include "simulator/simulation.hpp"
#include "simulator/summary.hpp"
#include "truffula/config/settings.hpp"
#include "truffula/error/error.hpp"

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace truffula::simulator {

enum class router_kind : std::uint8_t { truffula, lorax };

/// What is simulated, but for the requests.
struct scenario {
    router_kind router = router_kind::truffula;
    config::settings settings;
    shard_costs costs;
    std::optional<duration> call_gap;  ///< None: what is known of the router; so below.
    std::optional<duration> adapter_call_gap;
};

/// A router's option as its YAML file spells it, with the value as text.
using router_option = std::pair<std::string, std::string>;

/// The router's settings from its YAML file (none: empty) and `options`, which win.
///
/// \errors `errc::invalid_config`: what was found and what is allowed.
result<config::settings> read_settings(
    const std::string& config_file, const std::vector<router_option>& options);

/// `base` and `own`, which wins where both name an option.
std::vector<router_option> overlaid(
    const std::vector<router_option>& base, const std::vector<router_option>& own);

/// Reads `name=value`, where the name may be dotted (`batching.max_batch_size`).
///
/// \errors `errc::invalid_config`.
result<router_option> read_router_option(const std::string& text);

/// Simulates `from` under `what`.
outcome simulate(
    const workload& from, const scenario& what, const std::function<void(double)>& progress = {});

}  // namespace truffula::simulator
