#include "shard_sim/command_line.hpp"

#include <CLI/CLI.hpp>

#include <cstdlib>
#include <map>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace truffula::shard_sim {
namespace {

constexpr auto description =
    "A simulated model shard. It serves the shard protocol (generate.v1.LoraxService), writes\n"
    "made-up but reproducible text, takes as long as it is told to, fails when it is told to,\n"
    "and counts every step of the router outside the protocol.\n"
    "SIGTERM ends it at once; SIGUSR1 writes the report (--report) and goes on.\n";

constexpr auto fault_help =
    "Method:N:kind[:text], repeatable: what goes wrong in the N-th call of a method (N, N+ for\n"
    "that and all later ones, * for all). For any method: fail, hang, crash, garbage, truncated.\n"
    "For Prefill and Decode: unknown-id, missing-id, duplicate-id, no-batch, other-batch-id,\n"
    "bad-finish, no-end, no-tokens, empty-tokens, text-without-tokens, zero-count,\n"
    "unequal-lists, bad-utf8";

struct raw_options {
    std::uint64_t prefill_base = 0;
    std::uint64_t prefill_token = 0;
    std::uint64_t decode_base = 0;
    std::uint64_t decode_sequence = 0;
    std::uint64_t download = 0;
    std::uint64_t load = 0;
    std::uint64_t offload = 0;
    std::uint64_t warmup = 0;
    bool overlap = false;
    bool serial = false;
    bool no_generation = false;
    std::vector<std::string> memory;
    std::vector<std::string> preload;
    std::vector<std::string> missing;
    std::vector<std::string> unloadable;
    std::vector<std::string> too_large;
    std::vector<std::string> tokens;
    std::vector<std::string> faults;
};

// At the first '=': a token may hold one, ids do not.
std::pair<std::string, std::string> split(const std::string& text) {
    const auto at = text.find('=');
    if (at == std::string::npos || at == 0) {
        throw CLI::ValidationError("'" + text + "' is not NAME=VALUE");
    }
    return {text.substr(0, at), text.substr(at + 1)};
}

double fraction(const std::string& text) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0' || !(value >= 0.0)) {
        throw CLI::ValidationError("--adapter-memory: '" + text + "' is not a fraction");
    }
    return value;
}

void add_process_options(CLI::App& app, options& out, raw_options& raw) {
    const auto* g = "Process";
    app.add_option("--uds-path", out.uds_path, "Unix socket: PATH-<rank>")->group(g);
    app.add_option("--tcp", out.tcp, "HOST:PORT to listen on; rank r takes PORT + r")->group(g);
    app.add_option("--rank", out.model.rank, "Rank of this shard")->group(g)->capture_default_str();
    app.add_option("--world", out.model.world, "Shards of the group")
        ->group(g)
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    app.add_flag("--serial", raw.serial, "One call at a time, in order (default)")->group(g);
    app.add_flag("--overlap", raw.overlap, "Calls side by side")->group(g);
    app.add_option("--report", out.report, "File for the report (JSON)")->group(g);
    app.add_option("--record", out.record, "File that gets each request as a line of JSON")
        ->group(g);
    app.add_flag("--strict", out.strict, "Exit status 3 if there were violations")->group(g);
}

void add_model_options(CLI::App& app, model_options& m, raw_options& raw) {
    const auto* g = "Model";
    const std::map<std::string, layout> kinds{
        {"paged", layout::paged}, {"padded", layout::padded}, {"plain", layout::plain}};
    app.add_option("--mode", m.kind, "paged (blocks, default), padded, or plain (neither)")
        ->group(g)
        ->transform(CLI::CheckedTransformer(kinds).description(""));
    app.add_option("--block-size", m.block_size, "Tokens per block")
        ->group(g)
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    app.add_flag(
           "--chunked-prefill",
           m.chunked_prefill,
           "Computes prompts in parts, beside running requests")
        ->group(g);
    app.add_option("--window", m.window, "Attention window it tells (tokens)")->group(g);
    app.add_option("--speculate", m.speculate, "A step gives 1 to K + 1 tokens")
        ->group(g)
        ->check(CLI::Range(0, 64))
        ->capture_default_str();
    app.add_option(
           "--max-supported-total-tokens",
           m.max_supported_total_tokens,
           "Answer of Warmup, and checked (default: none)")
        ->group(g);
    app.add_option("--max-sequences", m.max_sequences, "Most live requests (checked)")->group(g);
    app.add_option(
           "--constrained-reply", m.constrained_reply, "Text (ASCII) for requests with a schema")
        ->group(g);
    app.add_option("--eos-after", m.eos_after, "End token after N tokens; 0: never")->group(g);
    app.add_option("--eos-probability", m.eos_probability, "Of each token after the first")
        ->group(g)
        ->check(CLI::Range(0.0, 1.0));
    app.add_option("--max-new", m.max_new, "No text is longer (tokens); 0: no cap")->group(g);
    app.add_option(
           "--fail-prompt",
           m.fail_prompts,
           "A Prefill, Embed or Classify with this text in a prompt fails")
        ->group(g);
    app.add_flag("--no-generation", raw.no_generation, "supports_generation false")->group(g);
    app.add_flag("--embeddings", m.supports_embeddings, "supports_embeddings true")->group(g);
    app.add_flag("--classification", m.supports_classification, "supports_classification true")
        ->group(g);
}

void add_adapter_options(CLI::App& app, raw_options& raw) {
    const auto* g = "Adapters";
    app.add_option(
           "--adapter-memory",
           raw.memory,
           "Fraction of memory an adapter takes: 0.02, or ID=0.02 for one; repeatable")
        ->group(g);
    app.add_option("--preload", raw.preload, "ID=INDEX: there from the start; repeatable")
        ->group(g);
    app.add_option("--no-such-adapter", raw.missing, "ID whose download fails; repeatable")
        ->group(g);
    app.add_option("--fail-load", raw.unloadable, "ID whose load fails; repeatable")->group(g);
    app.add_option(
           "--no-memory-for", raw.too_large, "ID whose load fails for want of memory; repeatable")
        ->group(g);
    app.add_option("--private-adapter", raw.tokens, "ID=TOKEN that it needs; repeatable")->group(g);
}

void add_cost_options(CLI::App& app, raw_options& raw) {
    const auto* g = "Costs (microseconds, default 0)";
    app.add_option("--prefill-base-us", raw.prefill_base, "Per Prefill")->group(g);
    app.add_option("--prefill-token-us", raw.prefill_token, "Per prompt token")->group(g);
    app.add_option("--decode-base-us", raw.decode_base, "Per Decode")->group(g);
    app.add_option("--decode-sequence-us", raw.decode_sequence, "Per request in a Decode")
        ->group(g);
    app.add_option("--download-us", raw.download, "Per DownloadAdapter")->group(g);
    app.add_option("--load-us", raw.load, "Per LoadAdapter")->group(g);
    app.add_option("--offload-us", raw.offload, "Per OffloadAdapter")->group(g);
    app.add_option("--warmup-us", raw.warmup, "Per Warmup")->group(g);
    app.add_option("--fault", raw.faults, fault_help)->group("Faults");
}

// CLI11 would wrap them round.
void refuse_negative(CLI::App& app) {
    const auto check = [](const std::string& text) {
        return text.starts_with('-') ? "'" + text + "' is negative" : std::string{};
    };
    for (auto* option : app.get_options()) {
        if (option->get_type_name() == "UINT") option->check(check, "");
    }
}

void take_adapters(const raw_options& raw, adapter_options& out) {
    for (const auto& text : raw.memory) {
        if (text.find('=') == std::string::npos) {
            out.memory = fraction(text);
        } else {
            const auto [id, value] = split(text);
            out.memory_of[id] = fraction(value);
        }
    }
    for (const auto& text : raw.preload) {
        const auto [id, value] = split(text);
        std::uint32_t index = 0;
        if (!CLI::detail::lexical_cast(value, index) || index == 0) {
            throw CLI::ValidationError("--preload: '" + value + "' is no index above 0");
        }
        out.preloaded[id] = index;
    }
    for (const auto& text : raw.tokens) out.tokens.insert(split(text));
    out.missing.insert(raw.missing.begin(), raw.missing.end());
    out.unloadable.insert(raw.unloadable.begin(), raw.unloadable.end());
    out.too_large.insert(raw.too_large.begin(), raw.too_large.end());
}

fault read_fault(const std::string& text) {
    std::string why;
    const auto read = parse_fault(text, why);
    if (!read) throw CLI::ValidationError("--fault " + text + ": " + why);
    return *read;
}

void take(const raw_options& raw, options& out) {
    using us = cost_options::duration;
    out.costs.prefill_base = us{raw.prefill_base};
    out.costs.prefill_token = us{raw.prefill_token};
    out.costs.decode_base = us{raw.decode_base};
    out.costs.decode_sequence = us{raw.decode_sequence};
    out.costs.download = us{raw.download};
    out.costs.load = us{raw.load};
    out.costs.offload = us{raw.offload};
    out.costs.warmup = us{raw.warmup};
    out.serial = !raw.overlap;
    out.model.supports_generation = !raw.no_generation;
    take_adapters(raw, out.adapters);
    for (const auto& text : raw.faults) out.faults.push_back(read_fault(text));
    if (raw.overlap && raw.serial)
        throw CLI::ValidationError("--serial and --overlap exclude each other");
    if (out.model.rank >= out.model.world)
        throw CLI::ValidationError("--rank must be below --world");
    if (out.uds_path.empty() && out.tcp.empty()) {
        throw CLI::ValidationError("one of --uds-path and --tcp is needed");
    }
    if (!out.tcp.empty()) tcp_address(out.tcp, out.model.world);  // throws
}

}  // namespace

std::string tcp_address(const std::string& tcp, std::uint32_t rank) {
    const auto colon = tcp.rfind(':');
    std::uint32_t port = 0;
    if (colon == std::string::npos || !CLI::detail::lexical_cast(tcp.substr(colon + 1), port) ||
        port == 0 || port + rank > 65'535) {
        throw CLI::ValidationError("--tcp: '" + tcp + "' is not HOST:PORT");
    }
    return tcp.substr(0, colon) + ":" + std::to_string(port + rank);
}

std::optional<int> parse_command_line(
    int argc, const char* const* argv, options& out, std::ostream& print) {
    CLI::App app{description, "truffula-shard-sim"};
    raw_options raw;
    add_process_options(app, out, raw);
    add_model_options(app, out.model, raw);
    add_adapter_options(app, raw);
    add_cost_options(app, raw);
    refuse_negative(app);
    try {
        app.parse(argc, argv);
        take(raw, out);
    } catch (const CLI::CallForHelp& help) {
        return app.exit(help, print, print);
    } catch (const CLI::ParseError& e) {
        app.exit(e, print, print);
        return 2;
    }
    return std::nullopt;
}

}  // namespace truffula::shard_sim
