#include "simulator/command_line.hpp"
#include "simulator/flood.hpp"
#include "simulator/goals.hpp"
#include "simulator/report.hpp"
#include "simulator/sweep.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iostream>
#include <unistd.h>

namespace {

using namespace truffula;
using namespace truffula::simulator;

constexpr int exit_failed = 1;

using writer = std::function<void(std::ostream&)>;

int fail(const std::string& why) {
    std::cerr << "truffula-sim: " << why << '\n';
    return exit_failed;
}

/// Writes a file with `write`; the reason when that cannot be done.
result<> write_file(const std::string& name, const writer& write) {
    std::ofstream file{name, std::ios::binary};
    if (file) write(file);
    file.close();
    if (file) return {};
    return error{errc::invalid_config, "cannot write " + name};
}

/// The table on standard output (unless the JSON goes there), and the files that were asked for.
int write_all(
    const options& o,
    const writer& table,
    const writer& json,
    const writer& html,
    const writer& requests) {
    (o.json_file == "-" ? json : table)(std::cout);
    const std::pair<std::string, const writer&> files[]{
        {o.json_file == "-" ? "" : o.json_file, json},
        {o.html_file, html},
        {o.trace_output, requests}};
    for (const auto& [name, write] : files) {
        if (name.empty()) continue;
        if (const auto written = write_file(name, write); !written) {
            return fail(written.error().detail);
        }
    }
    return 0;
}

/// A bar on the terminal; nothing elsewhere.
std::function<void(double)> progress_bar(const options& o) {
    if (o.is_quiet || isatty(STDERR_FILENO) == 0) return {};
    return [](double done) {
        constexpr int width = 40;
        const int filled = static_cast<int>(done * width);
        std::fprintf(
            stderr,
            "\r[%s%s] %3.0f %%",
            std::string(static_cast<std::size_t>(filled), '#').c_str(),
            std::string(static_cast<std::size_t>(width - filled), ' ').c_str(),
            done * 100);
        if (done >= 1) std::fputs("\r\033[K", stderr);
    };
}

result<workload> read_trace_file(const options& o) {
    std::ifstream file{o.trace_file, std::ios::binary};
    if (!file) return error{errc::invalid_config, "cannot read " + o.trace_file};
    auto read = read_trace(file, o.trace_file, o.bad_lines);
    if (!read) return read.error();
    constexpr std::size_t most_named = 20;
    const auto& skipped = read->skipped;
    for (std::size_t i = 0; i < std::min(skipped.size(), most_named); ++i) {
        const auto& bad = skipped[i];
        std::cerr << o.trace_file << ':' << bad.number << ": left out: " << bad.why << '\n';
    }
    if (skipped.size() > most_named) {
        std::cerr << o.trace_file << ": … and " << skipped.size() - most_named << " more lines\n";
    }
    return std::move(read->requests);
}

std::string title_of(const options& o, const workload& requests) {
    const std::string router =
        o.simulated.router == router_kind::lorax ? "rules of LoRAX" : "Truffula";
    const auto from = o.trace_file.empty() ? "seed " + std::to_string(o.seed) : o.trace_file;
    return router + ", " + std::to_string(requests.arrivals.size()) + " requests (" + from + "), " +
           (o.simulated.costs.overlap ? "adapter calls beside steps" : "one call at a time");
}

int run(const options& o) {
    const auto requests = o.trace_file.empty() ? result<workload>{make_arrivals(o.arrivals, o.seed)}
                                               : read_trace_file(o);
    if (!requests) return fail(requests.error().detail);
    const auto bar = progress_bar(o);
    const auto happened = simulate(*requests, o.simulated, bar);
    if (bar) bar(1);
    const auto figures = summarise(*requests, happened, o.simulated.costs);
    const report r{title_of(o, *requests), *requests, happened, figures};
    return write_all(
        o,
        [&](std::ostream& to) { write_table(to, r); },
        [&](std::ostream& to) { to << to_json(r).dump(2) << '\n'; },
        [&](std::ostream& to) { write_html(to, r); },
        [&](std::ostream& to) { write_trace(to, *requests); });
}

int sweep(const options& o) {
    auto points = combine(o.config_file, o.router_options, o.varied);
    if (!points) return fail(points.error().detail);
    std::vector<workload> workloads;
    if (o.trace_file.empty()) {
        for (std::uint64_t seed = 1; seed <= o.seeds; ++seed) {
            workloads.push_back(make_arrivals(o.arrivals, seed));
        }
    } else {
        auto requests = read_trace_file(o);
        if (!requests) return fail(requests.error().detail);
        workloads.push_back(std::move(*requests));
    }
    run_sweep(*points, workloads, o.simulated, progress_bar(o));
    return write_all(
        o,
        [&](std::ostream& to) { write_sweep(to, *points); },
        [&](std::ostream& to) { to << sweep_json(*points); },
        [&](std::ostream& to) { write_sweep_html(to, *points); },
        {});
}

int goals(const options& o) {
    const auto ours = settings_w(o.simulated.costs.overlap);
    const auto lorax_settings = read_settings("", ours);
    const auto settings = read_settings("", overlaid(ours, o.router_options));
    if (!settings) return fail(settings.error().detail);
    scenario lorax{router_kind::lorax, *lorax_settings, o.simulated.costs, {}, {}};
    scenario truffula{router_kind::truffula, *settings, o.simulated.costs, {}, {}};
    print_goals(std::cout, lorax, truffula, o.seeds);
    if (!o.simulated.costs.overlap) return 0;
    const auto fair = read_settings("", overlaid(flood_settings("fair"), o.router_options));
    if (!fair) return fail(fair.error().detail);
    print_flood_goals(
        std::cout, {router_kind::truffula, *fair, o.simulated.costs, {}, {}}, o.seeds);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    options o;
    if (const auto status = read_command_line(argc, argv, o, std::cout, std::cerr)) return *status;
    switch (o.what) {
        case command::run: return run(o);
        case command::sweep: return sweep(o);
        case command::goals: return goals(o);
    }
    return exit_failed;
}
