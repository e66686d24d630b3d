#include "simulator/html_page.hpp"
#include "simulator/report.hpp"
#include "simulator/svg.hpp"

#include <algorithm>
#include <map>
#include <ostream>

namespace truffula::simulator {
namespace {

constexpr std::size_t most_bars = 60;
constexpr std::size_t most_rows = 40;

double seconds(duration d) {
    return static_cast<double>(d.count()) / 1e9;
}

std::string name_of(const std::string& adapter) {
    return adapter.empty() ? "(base model)" : adapter;
}

std::string ms(double value) {
    return show_number(value) + " ms";
}

std::string head(const summary& s) {
    return tiles({
        {"time to first token, mean", ms(s.ttft.mean)},
        {"time to first token, p99", ms(s.ttft.p99)},
        {"between tokens, p50 / p99",
         show_number(s.inter_token.p50) + " / " + ms(s.inter_token.p99)},
        {"end to end, mean", ms(s.end_to_end.mean)},
        {"requests, failed", std::to_string(s.requests) + ", " + std::to_string(s.failed)},
        {"done after", show_number(s.done_after) + " s"},
        {"throughput", show_number(s.tokens_per_second) + " tokens/s"},
        {"batch size, mean", show_number(s.batch_size)},
        {"adapter loads / offloads", std::to_string(s.loads) + " / " + std::to_string(s.offloads)},
        {"Jain index over adapters", show_number(s.jain)},
    });
}

/// One of the two counts of the timeline: its mean as area, the most of each bin as a line.
std::string over_time(
    const timeline& t, double timeline::bin::*mean, std::size_t timeline::bin::*most) {
    std::vector<double> x;
    std::vector<double> means;
    std::vector<double> mosts;
    double highest = 0;
    const auto bins = t.bins();
    for (std::size_t i = 0; i < bins.size(); ++i) {
        x.push_back((static_cast<double>(i) + 0.5) * seconds(t.width()));
        means.push_back(bins[i].*mean);
        mosts.push_back(static_cast<double>(bins[i].*most));
        highest = std::max(highest, mosts.back());
    }
    plot p{
        220,
        seconds(t.width()) * static_cast<double>(bins.size()),
        highest * 1.05,
        "seconds",
        "requests"};
    p.area(x, means, "pale");
    p.line(x, mosts, "blue");
    return p.take();
}

/// Requests by adapter, the most popular first: mean as bar, p99 as dot.
std::string ttft_by_adapter(const std::vector<group>& adapters) {
    const auto count = std::min(adapters.size(), most_bars);
    double highest = 0;
    for (std::size_t i = 0; i < count; ++i) highest = std::max(highest, adapters[i].ttft.p99);
    plot p{240, static_cast<double>(count), highest * 1.05, "adapters, most requests first", "ms"};
    for (std::size_t i = 0; i < count; ++i) {
        const auto& a = adapters[i];
        const auto x = static_cast<double>(i);
        const auto hint = name_of(a.name) + ": " + std::to_string(a.requests) + " requests, mean " +
                          ms(a.ttft.mean) + ", p99 " + ms(a.ttft.p99);
        p.bar(x + 0.15, x + 0.85, 0, a.ttft.mean, "blue", hint);
        p.dot(x + 0.5, a.ttft.p99, 3, "orange", hint);
    }
    return p.take(false);
}

/// When which adapter was on the shards, those with most requests on top.
std::string residency(const report& r) {
    std::map<std::string, std::size_t> rows;
    for (const auto& a : r.figures.adapters) {
        if (rows.size() == most_rows) break;
        if (!a.name.empty()) rows.emplace(a.name, rows.size());
    }
    const auto count = static_cast<double>(rows.size());
    plot p{60 + 14 * count, r.figures.done_after, count, "seconds", ""};
    for (const auto& stay : r.happened.residences) {
        const auto& name = r.requests.adapters[stay.adapter];
        const auto found = rows.find(name);
        if (found == rows.end()) continue;
        const auto y = count - 1 - static_cast<double>(found->second);
        const auto hint = name + ": " + show_number(seconds(stay.from)) + " to " +
                          show_number(seconds(stay.to)) + " s";
        p.bar(seconds(stay.from), seconds(stay.to), y + 0.15, y + 0.85, "green", hint);
    }
    for (const auto& [name, row] : rows) p.label(count - 0.5 - static_cast<double>(row), name);
    return p.take(true, false);
}

std::string tenants(const std::vector<group>& groups) {
    std::vector<std::vector<std::string>> rows;
    rows.reserve(groups.size());
    for (const auto& g : groups) {
        rows.push_back(
            {g.name,
             std::to_string(g.requests),
             std::to_string(g.failed),
             show_number(g.ttft.mean),
             show_number(g.ttft.p50),
             show_number(g.ttft.p99),
             show_number(g.end_to_end.mean)});
    }
    return table(
        {"tenant",
         "requests",
         "failed",
         "TTFT mean (ms)",
         "TTFT p50",
         "TTFT p99",
         "end to end mean"},
        rows);
}

}  // namespace

void write_html(std::ostream& to, const report& r) {
    auto body = head(r.figures);
    const auto& states = r.happened.states;
    body += figure(
        "Queue",
        "Requests that wait, over time: mean as area, most as line.",
        over_time(states, &timeline::bin::waiting, &timeline::bin::most_waiting));
    body += figure(
        "Batch size",
        "Requests that run, over time: mean as area, most as line.",
        over_time(states, &timeline::bin::running, &timeline::bin::most_running));
    body += figure(
        "Time to first token by adapter",
        "Milliseconds: mean as bar, 99th percentile as dot. Point at one for its name.",
        ttft_by_adapter(r.figures.adapters));
    if (!r.happened.residences.empty()) {
        body += figure(
            "Adapters on the shards",
            "When each was loaded, for those with most requests.",
            residency(r));
    }
    if (r.figures.tenants.size() > 1) {
        body += "<h2>Tenants</h2>\n" + tenants(r.figures.tenants);
    }
    write_page(to, r.title, body);
}

}  // namespace truffula::simulator
