#include "simulator/flood.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <iterator>
#include <ostream>
#include <utility>

namespace truffula::simulator {
namespace {

constexpr int tenants = 10;
constexpr std::size_t common_adapters = 20;
constexpr std::size_t own_adapters = 200;
constexpr double flood = 100;     // times its share
constexpr double seconds = 600;   // long enough for the first loads of adapters not to count
constexpr double most_more = 20;  // percent that the others' p99 may rise

using flooded = workload(double times, double seconds, std::uint64_t seed);

/// Medians over `seeds`, with the first tenant asking for `times` its share.
latency others(flooded make, double times, const scenario& what, std::size_t seeds) {
    std::vector<latency> all;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        const auto requests = make(times, seconds, seed);
        all.push_back(ttft_of_others(requests, simulate(requests, what)));
    }
    const auto middle = [&all](double latency::*figure) {
        std::ranges::sort(all, {}, figure);
        return all[(all.size() - 1) / 2].*figure;
    };
    return {middle(&latency::mean), middle(&latency::p50), middle(&latency::p99)};
}

arrival_options lengths_of_flood(double for_seconds) {
    arrival_options o;
    o.seconds = for_seconds;
    o.output = {length_distribution::kind::uniform, 64, 0, 16, 112};
    return o;
}

void row(std::ostream& to, const char* who, const latency& l) {
    std::array<char, 120> line{};
    std::snprintf(line.data(), line.size(), "  %-32s %10.1f %10.1f\n", who, l.mean, l.p99);
    to << line.data();
}

}  // namespace

workload flood_over_common_adapters(double times, double for_seconds, std::uint64_t seed) {
    auto o = lengths_of_flood(for_seconds);
    o.adapters = common_adapters;
    o.tenants = {{"flood", times}};
    for (int i = 1; i < tenants; ++i) o.tenants.emplace_back("tenant-" + std::to_string(i), 1.0);
    o.rate = times + tenants - 1;
    return make_arrivals(o, seed);
}

workload flood_over_own_adapters(double times, double for_seconds, std::uint64_t seed) {
    auto o = lengths_of_flood(for_seconds);
    o.adapters = common_adapters;
    for (int i = 1; i < tenants; ++i) o.tenants.emplace_back("tenant-" + std::to_string(i), 1.0);
    o.rate = tenants - 1;
    auto all = make_arrivals(o, seed);
    o.adapters = own_adapters;
    o.tenants = {{"flood", 1.0}};
    o.rate = times;
    const auto more = make_arrivals(o, seed + 1000);
    const auto first_adapter = static_cast<std::uint32_t>(all.adapters.size()) - 1;
    for (std::size_t i = 1; i < more.adapters.size(); ++i) {
        all.adapters.push_back("flood-" + more.adapters[i]);
    }
    for (auto a : more.arrivals) {
        a.adapter += first_adapter;
        a.tenant = static_cast<std::uint32_t>(all.tenants.size());
        all.arrivals.push_back(a);
    }
    all.tenants.emplace_back("flood");
    std::ranges::stable_sort(all.arrivals, {}, &arrival::at);
    return all;
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

void print_flood_goals(std::ostream& to, const scenario& fair, std::size_t seeds) {
    const std::pair<const char*, flooded*> floods[] = {
        {"on the adapters of all", flood_over_common_adapters},
        {"on 200 adapters of its own", flood_over_own_adapters}};
    for (const auto& [where, make] : floods) {
        to << "\nTen tenants, one request per second each, the first " << where
           << ", policy fair, median of " << seeds
           << " seeds:\n  the other nine's time to first token (ms)  mean        p99\n";
        const auto before = others(make, 1, fair, seeds);
        const auto during = others(make, flood, fair, seeds);
        row(to, "the first asks for its share", before);
        row(to, "it asks for 100 times as much", during);
        const bool holds = during.p99 < before.p99 * (1 + most_more / 100);
        to << "  goal: p99 rises by less than 20 %\n"
           << (holds ? "  the goal holds\n" : "  the goal does not hold\n");
    }
}

}  // namespace truffula::simulator
