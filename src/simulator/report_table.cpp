#include "simulator/report.hpp"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <map>
#include <ostream>

namespace truffula::simulator {
namespace {

constexpr std::size_t most_adapters = 10;
constexpr std::size_t most_failures = 5;

[[gnu::format(printf, 1, 2)]] std::string format(const char* how, ...) {
    std::array<char, 256> text{};
    va_list values;
    va_start(values, how);
    std::vsnprintf(text.data(), text.size(), how, values);
    va_end(values);
    return text.data();
}

void write_latency(std::ostream& to, const char* name, const latency& l) {
    to << format("  %-22s %10.1f %10.1f %10.1f\n", name, l.mean, l.p50, l.p99);
}

void write_group(std::ostream& to, const group& g) {
    const auto name = g.name.empty() ? std::string{"(base model)"} : g.name;
    to << format(
        "  %-22.22s %10zu %10zu %10.1f %10.1f %10.1f\n",
        name.c_str(),
        g.requests,
        g.failed,
        g.ttft.mean,
        g.ttft.p99,
        g.end_to_end.mean);
}

void write_groups(std::ostream& to, const char* what, const std::vector<group>& groups) {
    to << format(
        "\n%-24s %10s %10s %10s %10s %10s\n",
        what,
        "requests",
        "failed",
        "TTFT mean",
        "TTFT p99",
        "e2e mean");
    for (std::size_t i = 0; i < std::min(groups.size(), most_adapters); ++i) {
        write_group(to, groups[i]);
    }
    if (groups.size() > most_adapters) {
        to << format("  … and %zu more\n", groups.size() - most_adapters);
    }
}

/// Each reason once, with how many requests it ended.
void write_failures(std::ostream& to, const std::vector<failure>& failures) {
    if (failures.empty()) return;
    std::map<std::string, std::size_t> reasons;
    for (const auto& f : failures) ++reasons[f.why];
    to << "\nfailed because\n";
    std::size_t shown = 0;
    for (const auto& [why, count] : reasons) {
        if (++shown > most_failures) break;
        to << format("  %6zu × ", count) << why << '\n';
    }
}

}  // namespace

void write_table(std::ostream& to, const report& r) {
    const auto& s = r.figures;
    to << r.title << "\n\n";
    to << format("%-24s %10s %10s %10s\n", "milliseconds", "mean", "p50", "p99");
    write_latency(to, "time to first token", s.ttft);
    write_latency(to, "between tokens", s.inter_token);
    write_latency(to, "end to end", s.end_to_end);
    to << '\n';
    to << format(
        "  requests %zu, failed %zu, done after %.2f s\n", s.requests, s.failed, s.done_after);
    to << format("  %.2f requests/s, %.1f tokens/s\n", s.requests_per_second, s.tokens_per_second);
    to << format(
        "  batch size %.1f over %zu decodes; %.1f requests in each of %zu prefills\n",
        s.batch_size,
        s.decodes,
        s.batch_joins,
        s.prefills);
    to << format(
        "  adapter calls: %zu downloads, %zu loads, %zu offloads\n",
        s.downloads,
        s.loads,
        s.offloads);
    to << format("  Jain index over adapters %.4f\n", s.jain);
    if (s.tenants.size() > 1) write_groups(to, "tenants", s.tenants);
    if (s.adapters.size() > 1) write_groups(to, "adapters", s.adapters);
    write_failures(to, r.happened.failures);
}

}  // namespace truffula::simulator
