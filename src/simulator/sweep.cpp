#include "simulator/sweep.hpp"

#include <algorithm>

namespace truffula::simulator {
namespace {

constexpr std::size_t most_points = 10'000;

std::string text_of(const std::vector<router_option>& chosen) {
    std::string text;
    for (const auto& [key, value] : chosen) {
        text.append(text.empty() ? "" : " ").append(key).append("=").append(value);
    }
    return text;
}

bool is_better(const summary& a, const summary& b) {
    const bool is_no_worse = a.tokens_per_second >= b.tokens_per_second && a.ttft.p99 <= b.ttft.p99;
    return is_no_worse && (a.tokens_per_second > b.tokens_per_second || a.ttft.p99 < b.ttft.p99);
}

}  // namespace

result<std::vector<sweep_point>> combine(
    const std::string& config_file,
    const std::vector<router_option>& fixed,
    const std::vector<varied_option>& varied) {
    std::vector<std::vector<router_option>> all(1);
    for (const auto& [key, values] : varied) {
        std::vector<std::vector<router_option>> longer;
        if (all.size() * values.size() > most_points) {
            return error{
                errc::invalid_config,
                "too many combinations: at most " + std::to_string(most_points) +
                    " can be tried at once"};
        }
        for (const auto& begun : all) {
            for (const auto& value : values) {
                longer.push_back(begun);
                longer.back().emplace_back(key, value);
            }
        }
        all = std::move(longer);
    }
    std::vector<sweep_point> points;
    for (auto& chosen : all) {
        auto settings = read_settings(config_file, overlaid(fixed, chosen));
        if (!settings) {
            return error{errc::invalid_config, text_of(chosen) + ": " + settings.error().detail};
        }
        points.push_back({std::move(chosen), std::move(*settings), {}, false});
    }
    return points;
}

void mark_best(std::vector<sweep_point>& points) {
    for (auto& p : points) {
        p.is_best = p.figures.failed == 0 && std::ranges::none_of(points, [&p](const auto& other) {
                        return other.figures.failed == 0 && is_better(other.figures, p.figures);
                    });
    }
}

void run_sweep(
    std::vector<sweep_point>& points,
    const std::vector<workload>& workloads,
    scenario what,
    const std::function<void(double)>& progress) {
    const auto runs = static_cast<double>(points.size() * workloads.size());
    double done = 0;
    for (auto& p : points) {
        what.settings = p.settings;
        std::vector<summary> all;
        for (const auto& w : workloads) {
            all.push_back(summarise(w, simulate(w, what), what.costs));
            if (progress) progress(++done / runs);
        }
        p.figures = median(all);
    }
    mark_best(points);
}

}  // namespace truffula::simulator
