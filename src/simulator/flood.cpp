#include "simulator/flood.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ostream>

namespace truffula::simulator {
namespace {

constexpr int tenants = 10;
constexpr double flood = 100;     // times its share
constexpr double seconds = 600;   // long enough for the first loads of adapters not to count
constexpr double most_more = 20;  // percent that the others' p99 may rise

/// Medians over `seeds`, with the first tenant asking for `times` its share.
latency others(double times, const scenario& what, std::size_t seeds) {
    std::vector<latency> all;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        const auto requests = make_arrivals(flood_arrivals(times, seconds), seed);
        all.push_back(ttft_of_others(requests, simulate(requests, what)));
    }
    const auto middle = [&all](double latency::*figure) {
        std::ranges::sort(all, {}, figure);
        return all[(all.size() - 1) / 2].*figure;
    };
    return {middle(&latency::mean), middle(&latency::p50), middle(&latency::p99)};
}

void row(std::ostream& to, const char* who, const latency& l) {
    std::array<char, 120> line{};
    std::snprintf(line.data(), line.size(), "  %-32s %10.1f %10.1f\n", who, l.mean, l.p99);
    to << line.data();
}

}  // namespace

arrival_options flood_arrivals(double times, double for_seconds) {
    arrival_options o;
    o.seconds = for_seconds;
    o.adapters = 20;
    o.output = {length_distribution::kind::uniform, 64, 0, 16, 112};
    o.tenants = {{"flood", times}};
    for (int i = 1; i < tenants; ++i) o.tenants.emplace_back("tenant-" + std::to_string(i), 1.0);
    o.rate = times + tenants - 1;
    return o;
}

std::vector<router_option> flood_settings(const std::string& policy) {
    return {
        {"policy", policy},
        {"max_batch_size", "64"},
        {"max_active_adapters", "32"},
        {"adapter_calls", "concurrent"}};
}

latency ttft_of_others(const workload& from, const outcome& of) {
    std::vector<duration> waits;
    for (std::size_t i = 0; i < from.arrivals.size(); ++i) {
        const auto& a = from.arrivals[i];
        if (from.tenants[a.tenant] == "flood" || of.requests[i].has_failed) continue;
        waits.push_back(of.requests[i].first_token - a.at);
    }
    return latency_of(waits);
}

void print_flood_goal(std::ostream& to, const scenario& fair, std::size_t seeds) {
    to << "\nTen tenants, one request per second each, policy fair, median of " << seeds
       << " seeds:\n  the other nine's time to first token (ms)  mean        p99\n";
    const auto before = others(1, fair, seeds);
    const auto during = others(flood, fair, seeds);
    row(to, "the first asks for its share", before);
    row(to, "it asks for 100 times as much", during);
    const bool holds = during.p99 < before.p99 * (1 + most_more / 100);
    to << "  goal: p99 rises by less than 20 %\n"
       << (holds ? "  the goal holds\n" : "  the goal does not hold\n");
}

}  // namespace truffula::simulator
