#include "simulator/goals.hpp"

#include <array>
#include <cstdio>
#include <ostream>

namespace truffula::simulator {
namespace {

struct goal {
    double rate;
    figures measured;  // of `lorax-router` on shards with these costs that overlap calls
    figures wanted;
};

constexpr std::array<goal, 4> goals{{
    {15, {219, 566, 0.994, 653, {}, {}}, {70, 200, 0.995, 600, {}, {}}},
    {25, {403, 1871, 0.968, 986, {}, {}}, {85, 450, 0.995, 920, {}, 55}},
    {35, {2649, 5402, 0.963, 1065, 62.7, {}}, {260, 1100, 0.98, {}, 62, {}}},
    {50, {10440, 28052, 0.952, 1046, 77, {}}, {2000, 5000, 0.95, {}, 66, {}}},
}};

std::string show(std::optional<double> value, int digits) {
    if (!value) return "-";
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.*f", digits, *value);
    return text.data();
}

}  // namespace

figures figures_of(const summary& s) {
    return {
        s.ttft.mean,
        s.ttft.p99,
        s.jain,
        static_cast<double>(s.loads),
        s.done_after,
        s.inter_token.p99};
}

figures goal_at(double rate) {
    for (const auto& g : goals) {
        if (g.rate == rate) return g.wanted;
    }
    return {};
}

void write_head(std::ostream& to, double rate) {
    std::array<char, 160> head{};
    std::snprintf(
        head.data(),
        head.size(),
        "\n%-3.0f requests/s               %10s %10s %8s %7s %9s %11s\n",
        rate,
        "TTFT mean",
        "TTFT p99",
        "Jain",
        "loads",
        "done",
        "token p99");
    to << head.data();
}

void write_row(std::ostream& to, const std::string& who, const figures& f) {
    std::array<char, 160> line{};
    std::snprintf(
        line.data(),
        line.size(),
        "  %-26s %10s %10s %8s %7s %9s %11s\n",
        who.c_str(),
        show(f.ttft_mean, 0).c_str(),
        show(f.ttft_p99, 0).c_str(),
        show(f.jain, 4).c_str(),
        show(f.loads, 0).c_str(),
        show(f.done_after, 1).c_str(),
        show(f.inter_token_p99, 1).c_str());
    to << line.data();
}

bool holds(const figures& f, const figures& wanted) {
    const auto at_most = [](std::optional<double> value, std::optional<double> most) {
        return !most || *value <= *most;
    };
    return at_most(f.ttft_mean, wanted.ttft_mean) && at_most(f.ttft_p99, wanted.ttft_p99) &&
           (!wanted.jain || *f.jain >= *wanted.jain) && at_most(f.loads, wanted.loads) &&
           at_most(f.done_after, wanted.done_after) &&
           at_most(f.inter_token_p99, wanted.inter_token_p99);
}

arrival_options workload_w(double rate) {
    arrival_options o;
    o.rate = rate;
    return o;
}

std::vector<router_option> settings_w(bool overlap) {
    return {
        {"max_active_adapters", "32"},
        {"adapter_cycle_time_s", "2"},
        {"max_batch_prefill_tokens", "4096"},
        {"max_batch_total_tokens", "32768"},
        {"adapter_calls", overlap ? "concurrent" : "paced"}};
}

summary run_w(double rate, const scenario& what, std::size_t seeds) {
    std::vector<summary> all;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        const auto requests = make_arrivals(workload_w(rate), seed);
        all.push_back(summarise(requests, simulate(requests, what), what.costs));
    }
    return median(all);
}

void print_goals(
    std::ostream& to, const scenario& lorax, const scenario& truffula, std::size_t seeds) {
    to << "Workload W, "
       << (truffula.costs.overlap ? "adapter calls overlap" : "one call at a time")
       << ", median of " << seeds << " seeds. Times in ms, done after in s.\n";
    for (const auto& g : goals) {
        write_head(to, g.rate);
        if (lorax.costs.overlap) write_row(to, "lorax-router, measured", g.measured);
        write_row(to, "lorax, simulated", figures_of(run_w(g.rate, lorax, seeds)));
        const auto ours = figures_of(run_w(g.rate, truffula, seeds));
        write_row(to, "truffula, simulated", ours);
        if (!truffula.costs.overlap) continue;
        write_row(to, "goal", g.wanted);
        to << (holds(ours, g.wanted) ? "  the goal holds\n" : "  the goal does not hold\n");
    }
}

}  // namespace truffula::simulator
