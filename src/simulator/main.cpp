#include "simulator/command_line.hpp"
#include "simulator/goals.hpp"
#include "simulator/report.hpp"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <fstream>
#include <functional>
#include <iostream>
#include <unistd.h>

namespace {

using namespace truffula;
using namespace truffula::simulator;

constexpr int exit_failed = 1;

int fail(const std::string& why) {
    std::cerr << "truffula-sim: " << why << '\n';
    return exit_failed;
}

/// Writes a file with `write`; the reason when that cannot be done.
result<> write_file(const std::string& name, const std::function<void(std::ostream&)>& write) {
    std::ofstream file{name, std::ios::binary};
    if (file) write(file);
    file.close();
    if (file) return {};
    return error{errc::invalid_config, "cannot write " + name};
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

result<workload> requests_of(const options& o) {
    if (o.trace_file.empty()) return make_arrivals(o.arrivals, o.seed);
    std::ifstream file{o.trace_file, std::ios::binary};
    if (!file) return error{errc::invalid_config, "cannot read " + o.trace_file};
    auto read = read_trace(file, o.trace_file, o.bad_lines);
    if (!read) return read.error();
    for (const auto& bad : read->skipped) {
        std::cerr << o.trace_file << ':' << bad.number << ": left out: " << bad.why << '\n';
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
    const auto requests = requests_of(o);
    if (!requests) return fail(requests.error().detail);
    if (!o.trace_output.empty()) {
        const auto written =
            write_file(o.trace_output, [&](std::ostream& to) { write_trace(to, *requests); });
        if (!written) return fail(written.error().detail);
    }
    const auto bar = progress_bar(o);
    const auto happened = simulate(*requests, o.simulated, bar);
    if (bar) bar(1);
    const auto figures = summarise(*requests, happened, o.simulated.costs);
    const report r{title_of(o, *requests), *requests, happened, figures};
    if (o.json_file == "-") {
        std::cout << to_json(r).dump(2) << '\n';
        return 0;
    }
    write_table(std::cout, r);
    if (o.json_file.empty()) return 0;
    const auto written =
        write_file(o.json_file, [&](std::ostream& to) { to << to_json(r).dump(2) << '\n'; });
    return written ? 0 : fail(written.error().detail);
}

int goals(const options& o) {
    auto ours = settings_w(o.simulated.costs.overlap);
    const auto lorax_settings = read_settings("", ours);
    ours.insert(ours.end(), o.router_options.begin(), o.router_options.end());
    const auto settings = read_settings("", ours);
    if (!settings) return fail(settings.error().detail);
    scenario lorax{router_kind::lorax, *lorax_settings, o.simulated.costs, {}, {}};
    scenario truffula{router_kind::truffula, *settings, o.simulated.costs, {}, {}};
    print_goals(std::cout, lorax, truffula, o.seeds);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    options o;
    if (const auto status = read_command_line(argc, argv, o, std::cout, std::cerr)) return *status;
    return o.what == command::goals ? goals(o) : run(o);
}
