#include "simulator/scenario.hpp"

#include "truffula/config/load.hpp"

#include <algorithm>

namespace truffula::simulator {
namespace {

using namespace std::chrono_literals;

// From an answer of the shards to the next call, over a Unix socket: measured.
constexpr duration truffula_gap = 100us;
constexpr duration lorax_gap = 1000us;

// Of adapter calls. LoRAX's is fitted: its loader starts each command only when the last one's
// answer has gone through its queue and locks, and with less its waiting at 25/s comes out short.
constexpr duration truffula_adapter_gap = 300us;
constexpr duration lorax_adapter_gap = 3000us;

}  // namespace

result<router_option> read_router_option(const std::string& text) {
    const auto at = text.find('=');
    if (at == std::string::npos || at == 0) {
        return error{
            errc::invalid_config,
            "'" + text +
                "' is no router option: expected KEY=VALUE with a key of the router's YAML file, "
                "such as max_batch_size=64"};
    }
    auto key = text.substr(0, at);
    key.erase(0, key.find('.') + 1);  // npos + 1 is 0: nothing
    return router_option{std::move(key), text.substr(at + 1)};
}

std::vector<router_option> overlaid(
    const std::vector<router_option>& base, const std::vector<router_option>& own) {
    std::vector<router_option> both;
    for (const auto& one : base) {
        const bool is_replaced = std::ranges::any_of(
            own, [&one](const auto& other) { return other.first == one.first; });
        if (!is_replaced) both.push_back(one);
    }
    both.insert(both.end(), own.begin(), own.end());
    return both;
}

result<config::settings> read_settings(
    const std::string& config_file, const std::vector<router_option>& options) {
    // As the router's command line: one reader, one set of names, ranges and errors.
    std::vector<std::string> arguments;
    if (!config_file.empty()) arguments.insert(arguments.end(), {"--config", config_file});
    for (const auto& [key, value] : options) {
        auto flag = "--" + key;
        std::ranges::replace(flag, '_', '-');
        arguments.push_back(flag.append("=").append(value));
    }
    arguments.emplace_back("--tokenizer-name=none");  // the router insists on one
    auto loaded = config::load(arguments, {});
    if (!loaded) return loaded.error();
    return loaded->values;
}

outcome simulate(
    const workload& from, const scenario& what, const std::function<void(double)>& progress) {
    const bool is_lorax = what.router == router_kind::lorax;
    const auto make = is_lorax ? make_lorax_model : make_truffula_model;
    const auto router = make(from, what.settings, what.costs);
    engine_options options;
    options.eager_prefill = what.settings.batching.eager_prefill;
    options.paced_adapter_calls = !is_lorax && what.settings.adapters.adapter_calls == "paced";
    options.call_gap = what.call_gap.value_or(is_lorax ? lorax_gap : truffula_gap);
    options.adapter_call_gap =
        what.adapter_call_gap.value_or(is_lorax ? lorax_adapter_gap : truffula_adapter_gap);
    options.filters_ended = is_lorax;
    return simulate(from, *router, what.costs, options, progress);
}

}  // namespace truffula::simulator
