// Workload W of docs/benchmarks.md with the real router, real HTTP clients and a simulated shard in
// a process of its own, beside the figures of truffula-sim for the same requests. In real time: a
// minute and more for each rate and seed.
#include "bench/child.hpp"
#include "bench/figures.hpp"
#include "bench/replay.hpp"
#include "simulator/goals.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace truffula;
using namespace truffula::bench;
using namespace truffula::simulator;
using json = nlohmann::json;

constexpr std::chrono::seconds patience{60};  // after the last arrival

struct options {
    std::vector<double> rates{15, 25, 35, 50};
    std::vector<std::uint64_t> seeds{1, 2, 3, 4, 5};
    double seconds = 60;
    bool is_serial = false;
    std::vector<std::string> settings;
};

options read_command_line(int argc, char** argv) {
    options o;
    CLI::App app{"Workload W: the real router before truffula-shard-sim, and truffula-sim."};
    app.add_option("--rate", o.rates, "Requests per second; several")->capture_default_str();
    app.add_option("--seed", o.seeds, "Of the requests; several")->capture_default_str();
    app.add_option("--seconds", o.seconds, "How long requests arrive")->capture_default_str();
    app.add_flag("--serial", o.is_serial, "The shard answers one call at a time");
    app.add_option("--set", o.settings, "KEY=VALUE for the router; repeatable");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        std::exit(app.exit(e));
    }
    return o;
}

std::string microseconds(duration d) {
    return std::to_string(d.count() / 1000);
}

std::vector<std::string> shard_arguments(
    const shard_costs& costs, const std::string& socket, const std::string& report) {
    return {
        "--uds-path",
        socket,
        "--mode",
        "plain",
        costs.overlap ? "--overlap" : "--serial",
        "--report",
        report,
        "--prefill-base-us",
        microseconds(costs.prefill_base),
        "--prefill-token-us",
        microseconds(costs.prefill_token),
        "--decode-base-us",
        microseconds(costs.decode_base),
        "--decode-sequence-us",
        microseconds(costs.decode_sequence),
        "--download-us",
        microseconds(costs.download),
        "--load-us",
        microseconds(costs.load),
        "--offload-us",
        microseconds(costs.offload),
        "--adapter-memory",
        std::to_string(costs.adapter_memory)};
}

std::vector<std::string> router_arguments(const std::vector<router_option>& settings) {
    std::vector<std::string> flags;
    for (const auto& [key, value] : settings) {
        auto flag = "--" + key;
        std::ranges::replace(flag, '_', '-');
        flags.push_back(flag + "=" + value);
    }
    return flags;
}

json read_report(const std::string& file) {
    std::ifstream in{file};
    return json::parse(in);
}

/// Shards have machines of their own. Here each core would wake the next process where it runs
/// itself, and the shard's next call wait behind the tokens of the last.
struct places {
    std::vector<int> shard;
    std::vector<int> rest;
};

places share_out(const std::vector<int>& processors) {
    if (processors.size() < 2) return {processors, processors};
    return {{processors.back()}, {processors.begin(), processors.end() - 1}};
}

struct real_run {
    summary figures;
    duration gap{0};  ///< Mean time from a step's end on the shard to the next one's begin.
};

/// The value of a metric in Prometheus' text.
double metric(const std::string& text, const std::string& name) {
    const auto at = text.find("\n" + name + ' ');
    if (at == std::string::npos) throw std::runtime_error("the router has no metric " + name);
    return std::stod(text.substr(at + name.size() + 2));
}

/// What steps took in all beyond what the shard was told to take, and the router between them.
duration mean_gap(const std::string& metrics, const workload& requests, const shard_costs& costs) {
    const std::string decodes = "lorax_batch_inference_duration_count{method=\"decode\"}";
    const std::string took = "lorax_batch_inference_duration_sum{method=\"decode\"}";
    const auto count = metric(metrics, decodes);
    duration told = costs.decode_base * static_cast<std::int64_t>(count);
    for (const auto& a : requests.arrivals) told += costs.decode_sequence * (a.output_tokens - 1);
    const auto all = metric(metrics, took) + metric(metrics, "truffula_step_gap_seconds_sum");
    return std::chrono::duration_cast<duration>(
               std::chrono::duration<double>(all) - std::chrono::duration<double>(told)) /
           static_cast<std::int64_t>(count);
}

/// What became of `requests` with the real router.
real_run run_real(
    const workload& requests,
    const shard_costs& costs,
    const std::vector<router_option>& settings,
    const places& on) {
    const temporary_folder folder;
    const auto report = (folder / "report.json").string();
    outcome happened;
    real_run done;
    {
        const auto socket = (folder / "shard").string();
        run_on(on.shard);
        const child shard{
            sibling("truffula-shard-sim"),
            shard_arguments(costs, socket, report),
            folder / "shard.log"};
        run_on(on.rest);
        const router r{folder, socket + "-0", router_arguments(settings)};
        happened = replay(r.port(), requests, patience);
        done.gap = mean_gap(http_get(r.port(), "/metrics"), requests, costs);
    }  // the shard writes its report when it ends
    const auto counts = read_report(report);
    if (counts["violations_total"] != 0) {
        throw std::runtime_error("the router broke the protocol: " + counts.dump());
    }
    if (!happened.failures.empty()) {
        throw std::runtime_error(
            std::to_string(happened.failures.size()) + " requests got no whole answer");
    }
    using adapter::call_kind;
    const auto note = [&](call_kind kind, const char* name) {
        happened.adapter_calls[static_cast<std::size_t>(kind)] = counts["calls"][name];
    };
    note(call_kind::download, "DownloadAdapter");
    note(call_kind::load, "LoadAdapter");
    note(call_kind::offload, "OffloadAdapter");
    done.figures = summarise(requests, happened, costs);
    return done;
}

/// Each figure's `q` quantile over the runs.
figures at_quantile(const std::vector<figures>& runs, double q) {
    figures f;
    for (const auto column :
         {&figures::ttft_mean,
          &figures::ttft_p99,
          &figures::jain,
          &figures::loads,
          &figures::done_after,
          &figures::inter_token_p99}) {
        std::vector<double> values;
        for (const auto& run : runs) values.push_back(*(run.*column));
        f.*column = quantile(std::move(values), q);
    }
    return f;
}

void write_runs(const std::string& who, const std::vector<figures>& runs) {
    write_row(std::cout, who + ", min", at_quantile(runs, 0));
    write_row(std::cout, who + ", median", at_quantile(runs, 0.5));
    write_row(std::cout, who + ", max", at_quantile(runs, 1));
}

figures run_simulated(const workload& requests, const scenario& modelled) {
    return figures_of(summarise(requests, simulate(requests, modelled), modelled.costs));
}

void run(const options& o) {
    std::vector<router_option> own;
    for (const auto& text : o.settings) own.push_back(read_router_option(text).value());
    const auto on = share_out(processors());
    const auto settings = overlaid(settings_w(!o.is_serial), own);
    scenario modelled;
    modelled.settings = read_settings("", settings).value();
    modelled.costs.overlap = !o.is_serial;
    std::cout << "Workload W for " << o.seconds << " s, "
              << (o.is_serial ? "one call at a time" : "adapter calls overlap")
              << ". Times in ms, done after in s.\n";
    for (const auto rate : o.rates) {
        write_head(std::cout, rate);
        std::vector<figures> real;
        std::vector<figures> simulated;
        std::vector<figures> with_gap;
        for (const auto seed : o.seeds) {
            auto arrivals = workload_w(rate);
            arrivals.seconds = o.seconds;
            const auto requests = make_arrivals(arrivals, seed);
            const auto happened = run_real(requests, modelled.costs, settings, on);
            real.push_back(figures_of(happened.figures));
            modelled.call_gap.reset();
            simulated.push_back(run_simulated(requests, modelled));
            std::cout << "  seed " << seed << ", " << microseconds(happened.gap)
                      << " us between steps\n";
            write_row(std::cout, "router", real.back());
            write_row(std::cout, "truffula-sim", simulated.back());
            if (!o.is_serial) {  // else adapter calls are in the gap, too
                modelled.call_gap = happened.gap;
                with_gap.push_back(run_simulated(requests, modelled));
                write_row(std::cout, "truffula-sim, this gap", with_gap.back());
            }
            std::cout.flush();
        }
        if (real.size() > 1) {
            std::cout << "  over all seeds\n";
            write_runs("router", real);
            write_runs("truffula-sim", simulated);
            if (!o.is_serial) write_runs("sim, these gaps", with_gap);
        }
        if (!o.is_serial) write_row(std::cout, "goal", goal_at(rate));
    }
}

}  // namespace

int main(int argc, char** argv) {
    try {
        run(read_command_line(argc, argv));
        return 0;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
}
