#include "simulator/report.hpp"

#include <nlohmann/json.hpp>

#include <cmath>

namespace truffula::simulator {
namespace {

using json = nlohmann::ordered_json;

/// Six decimals are enough, and read better than all the digits of a binary fraction.
double rounded(double value) {
    return std::round(value * 1e6) / 1e6;
}

json to_json(const latency& l) {
    return {{"mean", rounded(l.mean)}, {"p50", rounded(l.p50)}, {"p99", rounded(l.p99)}};
}

json to_json(const std::vector<group>& groups) {
    auto all = json::array();
    for (const auto& g : groups) {
        all.push_back(
            {{"name", g.name},
             {"requests", g.requests},
             {"failed", g.failed},
             {"ttft_ms", to_json(g.ttft)},
             {"end_to_end_ms", to_json(g.end_to_end)}});
    }
    return all;
}

json to_json(const timeline& t) {
    auto bins = json::array();
    for (const auto& b : t.bins()) {
        bins.push_back({rounded(b.waiting), rounded(b.running), b.most_waiting, b.most_running});
    }
    return {
        {"bin_ms", static_cast<double>(t.width().count()) / 1e6},
        {"columns", {"waiting_mean", "running_mean", "waiting_most", "running_most"}},
        {"bins", std::move(bins)}};
}

}  // namespace

json to_json(const summary& s) {
    return {
        {"requests", s.requests},
        {"failed", s.failed},
        {"ttft_ms", to_json(s.ttft)},
        {"inter_token_ms", to_json(s.inter_token)},
        {"end_to_end_ms", to_json(s.end_to_end)},
        {"jain_adapters", rounded(s.jain)},
        {"downloads", s.downloads},
        {"loads", s.loads},
        {"offloads", s.offloads},
        {"prefills", s.prefills},
        {"decodes", s.decodes},
        {"done_after_s", rounded(s.done_after)},
        {"requests_per_second", rounded(s.requests_per_second)},
        {"tokens_per_second", rounded(s.tokens_per_second)},
        {"batch_size_mean", rounded(s.batch_size)},
        {"requests_per_prefill_mean", rounded(s.batch_joins)}};
}

json to_json(const report& r) {
    json all{{"title", r.title}, {"figures", to_json(r.figures)}};
    all["tenants"] = to_json(r.figures.tenants);
    all["adapters"] = to_json(r.figures.adapters);
    auto failures = json::array();
    for (const auto& f : r.happened.failures) {
        failures.push_back({{"request", f.request}, {"why", f.why}});
    }
    all["failures"] = std::move(failures);
    all["timeline"] = to_json(r.happened.states);
    return all;
}

}  // namespace truffula::simulator
