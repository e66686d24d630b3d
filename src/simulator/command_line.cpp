#include "simulator/command_line.hpp"

#include "simulator/arrival_flags.hpp"
#include "simulator/checked.hpp"
#include "truffula/config/load.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <map>
#include <ostream>

namespace truffula::simulator {
namespace {

constexpr auto description =
    "Truffula's scheduler and adapter table in virtual time, with a modelled shard: what a router\n"
    "with these settings would do with these requests, in a moment and without a GPU.";

struct raw_options {
    arrival_flags arrivals;
    std::vector<std::string> settings;
    std::vector<std::string> varied;
    std::map<std::string, std::int64_t> microseconds;
    std::optional<std::int64_t> call_gap;  // microseconds
    bool overlap = false;
    bool serial = false;
};

void add_seed(CLI::App& app, options& out) {
    app.add_option("--seed", out.seed, "Of the synthetic requests: the same seed, the same bytes")
        ->capture_default_str()
        ->group("Requests");
}

void add_seeds(CLI::App& app, options& out) {
    app.add_option("--seeds", out.seeds, "Figures are medians over so many seeds, from 1 on")
        ->capture_default_str()
        ->check(CLI::Range(1, 1000))
        ->group("Requests");
}

void add_costs(CLI::App& app, options& out, raw_options& raw) {
    const auto* g = "Shards (microseconds)";
    const auto& c = out.simulated.costs;
    const auto add = [&](const char* name, duration value, const char* help) {
        auto& to = raw.microseconds[name];
        to = value.count() / 1000;
        app.add_option(name, to, help)
            ->capture_default_str()
            ->check(CLI::Range(std::int64_t{0}, std::int64_t{3'600'000'000}))
            ->group(g);
    };
    add("--prefill-base-us", c.prefill_base, "Per Prefill");
    add("--prefill-token-us", c.prefill_token, "Per prompt token");
    add("--decode-base-us", c.decode_base, "Per Decode");
    add("--decode-sequence-us", c.decode_sequence, "Per request in a Decode");
    add("--download-us", c.download, "Per DownloadAdapter");
    add("--load-us", c.load, "Per LoadAdapter");
    add("--offload-us", c.offload, "Per OffloadAdapter");
    app.add_option(
           "--adapter-memory",
           out.simulated.costs.adapter_memory,
           "Fraction of the adapter memory that one takes")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 1.0))
        ->group(g);
}

void add_overlap(CLI::App& app, raw_options& raw) {
    const auto* g = "Shards (microseconds)";
    auto* overlap =
        app.add_flag("--overlap", raw.overlap, "Adapter calls run beside steps (default)");
    app.add_flag("--serial", raw.serial, "One call at a time: adapter calls stall the steps")
        ->excludes(overlap)
        ->group(g);
    overlap->group(g);
}

void add_router(CLI::App& app, options& out, raw_options& raw) {
    const auto* g = "Router";
    const std::map<std::string, router_kind> kinds{
        {"truffula", router_kind::truffula}, {"lorax", router_kind::lorax}};
    app.add_option("--router", out.simulated.router, "truffula (default), or lorax to compare")
        ->transform(CLI::CheckedTransformer(kinds).description(""))
        ->group(g);
    app.add_option(
           "--call-gap-us",
           raw.call_gap,
           "Microseconds between steps, beside what they take (default: 100; lorax 1000)")
        ->check(CLI::Range(0, 1'000'000))
        ->group(g);
    app.add_option("--config", out.config_file, "The router's YAML file")->group(g);
    app.add_option(
           "--set", raw.settings, "KEY=VALUE of the router's YAML file, wins over it; repeatable")
        ->group(g);
}

void add_output(CLI::App& app, options& out) {
    const auto* g = "Output";
    app.add_option("--json", out.json_file, "File for all figures (-: standard output)")->group(g);
    app.add_option("--html", out.html_file, "File for a report with plots")->group(g);
    app.add_flag("--quiet", out.is_quiet, "No progress bar")->group(g);
}

void take_router(const raw_options& raw, options& out) {
    for (const auto& text : raw.settings) {
        out.router_options.push_back(checked("--set", read_router_option(text)));
    }
    for (const auto& text : raw.varied) {
        auto [key, values] = checked("--vary", read_router_option(text));
        auto parts = CLI::detail::split(values, ',');
        if (std::ranges::any_of(parts, &std::string::empty)) {
            throw CLI::ValidationError("--vary", "'" + text + "': expected KEY=V1,V2,…");
        }
        out.varied.emplace_back(key, std::move(parts));
    }
    if (out.what == command::goals) return;  // it has settings of its own
    out.simulated.settings =
        checked("router settings", read_settings(out.config_file, out.router_options));
}

void take(raw_options& raw, options& out) {
    auto& c = out.simulated.costs;
    c.overlap = !raw.serial;
    if (out.what != command::goals) {
        const auto us = [&raw](const char* name) {
            return std::chrono::microseconds{raw.microseconds.at(name)};
        };
        c.prefill_base = us("--prefill-base-us");
        c.prefill_token = us("--prefill-token-us");
        c.decode_base = us("--decode-base-us");
        c.decode_sequence = us("--decode-sequence-us");
        c.download = us("--download-us");
        c.load = us("--load-us");
        c.offload = us("--offload-us");
        raw.arrivals.take(out.arrivals);
    }
    if (raw.call_gap) out.simulated.call_gap = std::chrono::microseconds{*raw.call_gap};
    take_router(raw, out);
}

}  // namespace

std::optional<int> read_command_line(
    int argc, const char* const* argv, options& out, std::ostream& print, std::ostream& complain) {
    CLI::App app{description, "truffula-sim"};
    app.require_subcommand(1);
    app.set_version_flag("--version", std::string{config::version});
    raw_options raw;

    auto* run = app.add_subcommand("run", "Simulates once; writes figures, JSON, an HTML report");
    raw.arrivals.add_to(*run, out);
    add_seed(*run, out);
    run->add_option("--write-trace", out.trace_output, "File for the requests, as CSV")
        ->group("Output");

    auto* sweep = app.add_subcommand(
        "sweep", "Tries combinations of router settings; the best of throughput and waiting");
    raw.arrivals.add_to(*sweep, out);
    add_seeds(*sweep, out);
    sweep
        ->add_option(
            "--vary",
            raw.varied,
            "KEY=V1,V2,… of the router's YAML file: values to try; repeatable")
        ->required()
        ->group("Router");

    auto* goals = app.add_subcommand("goals", "The table of docs/benchmarks.md: workload W");
    add_seeds(*goals, out);
    add_overlap(*goals, raw);
    goals->add_option("--set", raw.settings, "KEY=VALUE for Truffula's settings; repeatable");

    for (auto* each : {run, sweep}) {
        add_costs(*each, out, raw);
        add_overlap(*each, raw);
        add_router(*each, out, raw);
        add_output(*each, out);
    }
    try {
        app.parse(argc, argv);
        if (sweep->parsed()) out.what = command::sweep;
        if (goals->parsed()) out.what = command::goals;
        take(raw, out);
    } catch (const CLI::Success& e) {
        return app.exit(e, print, print);
    } catch (const CLI::ParseError& e) {
        app.exit(e, complain, complain);
        return 2;
    }
    return std::nullopt;
}

}  // namespace truffula::simulator
