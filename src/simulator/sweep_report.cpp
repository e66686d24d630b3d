#include "simulator/html_page.hpp"
#include "simulator/report.hpp"
#include "simulator/svg.hpp"
#include "simulator/sweep.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ostream>
#include <ranges>

namespace truffula::simulator {
namespace {

using json = nlohmann::ordered_json;

/// Those that are on the Pareto front, or those that are not, the shortest wait first.
std::vector<const sweep_point*> select(const std::vector<sweep_point>& points, bool is_best) {
    std::vector<const sweep_point*> some;
    for (const auto& p : points) {
        if (p.is_best == is_best) some.push_back(&p);
    }
    std::ranges::stable_sort(some, {}, [](const auto* p) { return p->figures.ttft.p99; });
    return some;
}

std::string fixed(double value, int digits) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.*f", digits, value);
    return text.data();
}

std::vector<std::string> head_of(const sweep_point& p) {
    const auto keys = p.chosen | std::views::keys;
    std::vector<std::string> head(keys.begin(), keys.end());
    for (const auto* name :
         {"TTFT p99 (ms)", "TTFT mean (ms)", "token p99 (ms)", "tokens/s", "Jain", "loads"}) {
        head.emplace_back(name);
    }
    return head;
}

std::vector<std::string> row_of(const sweep_point& p) {
    const auto values = p.chosen | std::views::values;
    std::vector<std::string> row(values.begin(), values.end());
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
    const auto front = select(points, true);
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
    const auto [fewest, most] =
        std::ranges::minmax(points, {}, [](const auto& p) { return p.figures.tokens_per_second; });
    const auto fewest_tokens = fewest.figures.tokens_per_second;
    const auto most_tokens = most.figures.tokens_per_second;
    const auto longest =
        std::ranges::max(points, {}, [](const auto& p) { return p.figures.ttft.p99; });
    const auto margin = std::max(0.05 * (most_tokens - fewest_tokens), 0.01 * most_tokens);
    plot chart{
        360,
        most_tokens + margin,
        longest.figures.ttft.p99 * 1.1,
        "tokens per second",
        "time to first token, p99 (ms)",
        std::max(fewest_tokens - margin, 0.0)};
    const auto front = select(points, true);
    std::vector<double> x;
    std::vector<double> y;
    for (const auto* p : front) {
        x.push_back(p->figures.tokens_per_second);
        y.push_back(p->figures.ttft.p99);
    }
    chart.line(x, y, "orange");
    for (const auto& p : points) {
        std::string hint;
        for (const auto& [key, value] : p.chosen) {
            hint.append(key).append("=").append(value).append(" ");
        }
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
    const auto add_table = [&body](const char* heading, const auto& of) {
        if (of.empty()) return;
        std::vector<std::vector<std::string>> rows;
        rows.reserve(of.size());
        for (const auto* p : of) rows.push_back(row_of(*p));
        body += std::string{"<h2>"} + heading + "</h2>\n" + table(head_of(*of.front()), rows);
    };
    add_table("The front", front);
    add_table("The others", select(points, false));
    write_page(to, "Sweep of " + std::to_string(points.size()) + " combinations", body);
}

}  // namespace truffula::simulator
