#include "simulator/arrival_flags.hpp"

#include "simulator/checked.hpp"

#include <map>

namespace truffula::simulator {
namespace {

constexpr auto lengths_help = "N, uniform:LOW:HIGH or lognormal:MEAN:SIGMA[:MAX] (tokens)";

}  // namespace

void arrival_flags::add_to(CLI::App& app, options& out) {
    const auto* g = "Requests";
    auto& a = out.arrivals;
    const std::map<std::string, arrival_process> processes{
        {"poisson", arrival_process::poisson},
        {"uniform", arrival_process::uniform},
        {"bursts", arrival_process::bursts}};
    const std::map<std::string, on_bad_line> bad_lines{
        {"stop", on_bad_line::stop}, {"skip", on_bad_line::skip}};
    const auto share = CLI::Range(0.0, 1.0);
    const auto positive = CLI::Range(1e-6, 1e9).description("above 0, up to 1e9");
    app.add_option("--trace", out.trace_file, "Requests from a file (CSV or JSON lines)")->group(g);
    app.add_option(
           "--on-bad-line", out.bad_lines, "A bad line of the trace: stop (default) or skip")
        ->transform(CLI::CheckedTransformer(bad_lines).description(""))
        ->group(g);
    app.add_option("--arrivals", a.process, "poisson (default), uniform or bursts")
        ->transform(CLI::CheckedTransformer(processes).description(""))
        ->group(g);
    app.add_option("--rate", a.rate, "Requests per second")
        ->capture_default_str()
        ->check(positive)
        ->group(g);
    app.add_option("--seconds", a.seconds, "How long requests arrive")
        ->capture_default_str()
        ->check(positive)
        ->group(g);
    app.add_option("--requests", a.most_requests, "Ends earlier at so many (0: no limit)")
        ->capture_default_str()
        ->check(CLI::Range(0, 100'000'000))
        ->group(g);
    app.add_option("--burst-factor", a.burst_factor, "Rate within bursts, as multiple of --rate")
        ->capture_default_str()
        ->check(positive)
        ->group(g);
    app.add_option("--burst-every", a.burst_every, "Seconds from burst to burst")
        ->capture_default_str()
        ->check(positive)
        ->group(g);
    app.add_option("--burst-length", a.burst_length, "Seconds that a burst lasts")
        ->capture_default_str()
        ->check(positive)
        ->group(g);
    app.add_option("--adapters", a.adapters, "Adapters that requests name (0: base model only)")
        ->capture_default_str()
        ->check(CLI::Range(0, 1'000'000))
        ->group(g);
    app.add_option("--zipf", a.zipf, "Exponent of their popularity (0: all alike)")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 10.0))
        ->group(g);
    app.add_option("--base-share", a.base_share, "Share of requests for the base model, 0 to 1")
        ->capture_default_str()
        ->check(share)
        ->group(g);
    app.add_option("--batch-share", a.batch_share, "Share of priority class batch, 0 to 1")
        ->capture_default_str()
        ->check(share)
        ->group(g);
    app.add_option("--input-tokens", input_, std::string{"Prompts: "} + lengths_help)
        ->capture_default_str()
        ->group(g);
    app.add_option("--output-tokens", output_, "Answers: the same")
        ->capture_default_str()
        ->group(g);
    app.add_option("--tenant", tenants_, "NAME=WEIGHT; repeatable; none: one tenant")->group(g);
}

void arrival_flags::take(arrival_options& out) const {
    out.input = checked("--input-tokens", read_lengths(input_));
    out.output = checked("--output-tokens", read_lengths(output_));
    for (const auto& text : tenants_) {
        const auto at = text.rfind('=');
        double weight = 0;
        const bool is_good = at != std::string::npos && at > 0 &&
                             CLI::detail::lexical_cast(text.substr(at + 1), weight) && weight > 0 &&
                             weight < 1e9;
        if (!is_good) {
            throw CLI::ValidationError(
                "--tenant", "'" + text + "': expected NAME=WEIGHT with a weight above 0");
        }
        out.tenants.emplace_back(text.substr(0, at), weight);
    }
    if (out.burst_length >= out.burst_every) {
        throw CLI::ValidationError("--burst-length", "must be below --burst-every");
    }
}

}  // namespace truffula::simulator
