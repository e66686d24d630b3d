#include "simulator/html_page.hpp"
#include "simulator/report.hpp"
#include "simulator/svg.hpp"
#include "simulator/sweep.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ostream>

namespace truffula::simulator {
namespace {

using json = nlohmann::ordered_json;

std::vector<const sweep_point*> front_of(const std::vector<sweep_point>& points) {
    std::vector<const sweep_point*> front;
    for (const auto& p : points) {
        if (p.is_best) front.push_back(&p);
    }
    std::ranges::stable_sort(front, {}, [](const auto* p) { return p->figures.ttft.p99; });
    return front;
}

std::string fixed(double value, int digits) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.*f", digits, value);
    return text.data();
}

std::vector<std::string> head_of(const sweep_point& p) {
    std::vector<std::string> head;
    for (const auto& [key, value] : p.chosen) head.push_back(key);
    for (const auto* name :
         {"TTFT p99 (ms)", "TTFT mean (ms)", "token p99 (ms)", "tokens/s", "Jain", "loads"}) {
        head.emplace_back(name);
    }
    return head;
}

std::vector<std::string> row_of(const sweep_point& p) {
    std::vector<std::string> row;
    for (const auto& [key, value] : p.chosen) row.push_back(value);
    const auto& s = p.figures;
    for (auto& cell :
         {fixed(s.ttft.p99, 1),
          fixed(s.ttft.mean, 1),
          fixed(s.inter_token.p99, 1),
          fixed(s.tokens_per_second, 1),
          fixed(s.jain, 4),
          std::to_string(s.loads)}) {
        row.push_back(cell);
    }
    return row;
}

}  // namespace

void write_sweep(std::ostream& to, const std::vector<sweep_point>& points) {
    const auto front = front_of(points);
    const auto failing =
        std::ranges::count_if(points, [](const sweep_point& p) { return p.figures.failed > 0; });
    to << points.size() << " combinations, " << front.size()
       << " on the Pareto front of tokens/s and TTFT p99";
    if (failing > 0) to << "; " << failing << " are out because requests failed";
    to << "\n\n";
    if (front.empty()) return;
    std::vector<std::vector<std::string>> rows{head_of(*front.front())};
    for (const auto* p : front) rows.push_back(row_of(*p));
    std::vector<std::size_t> widths(rows.front().size());
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            to << std::string(widths[i] - row[i].size() + (i > 0 ? 2 : 0), ' ') << row[i];
        }
        to << '\n';
    }
}

std::string sweep_json(const std::vector<sweep_point>& points) {
    auto all = json::array();
    for (const auto& p : points) {
        auto chosen = json::object();
        for (const auto& [key, value] : p.chosen) chosen[key] = value;
        all.push_back(
            {{"settings", std::move(chosen)},
             {"is_on_front", p.is_best},
             {"figures", to_json(p.figures)}});
    }
    return json{{"points", std::move(all)}}.dump(2) + "\n";
}

void write_sweep_html(std::ostream& to, const std::vector<sweep_point>& points) {
    double most_tokens = 0;
    double most_wait = 0;
    for (const auto& p : points) {
        most_tokens = std::max(most_tokens, p.figures.tokens_per_second);
        most_wait = std::max(most_wait, p.figures.ttft.p99);
    }
    plot chart{360, most_tokens * 1.05, most_wait * 1.05, "tokens per second", "TTFT p99 (ms)"};
    const auto front = front_of(points);
    std::vector<double> x;
    std::vector<double> y;
    for (const auto* p : front) {
        x.push_back(p->figures.tokens_per_second);
        y.push_back(p->figures.ttft.p99);
    }
    chart.line(x, y, "orange");
    for (const auto& p : points) {
        std::string hint;
        for (const auto& [key, value] : p.chosen) hint += key + "=" + value + " ";
        hint += "→ " + show_number(p.figures.tokens_per_second) + " tokens/s, p99 " +
                show_number(p.figures.ttft.p99) + " ms";
        const bool is_best = p.is_best;
        chart.dot(
            p.figures.tokens_per_second,
            p.figures.ttft.p99,
            is_best ? 5 : 3.5,
            is_best ? "orange" : "blue",
            hint);
    }
    auto body = figure(
        "Throughput against the wait for the first token",
        "Each dot is a combination; the orange ones are the Pareto front: nothing has more tokens "
        "per second and a lower p99. Point at one for its settings.",
        chart.take());
    std::vector<std::vector<std::string>> rows;
    for (const auto* p : front) rows.push_back(row_of(*p));
    if (!front.empty()) {
        body += "<h2>The front</h2>\n" + table(head_of(*front.front()), rows);
    }
    write_page(to, "Sweep of " + std::to_string(points.size()) + " combinations", body);
}

}  // namespace truffula::simulator
