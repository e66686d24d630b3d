#include "config/sources.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <utility>

namespace truffula::config {
namespace {

constexpr const char* about =
    "Truffula routes generate requests to LLM model shards, with many LoRA adapters on one base "
    "model.\nSettings come from --config FILE, the environment (--max-total-tokens is "
    "MAX_TOTAL_TOKENS)\nand the command line; the later wins.";

/// Defaults are shown from the settings themselves.
std::string describe(const option& o, const settings& defaults) {
    std::string text = o.help;
    const auto values = o.show(defaults);
    const bool has_default = !values.empty() && !values.front().empty();
    text += " (" + o.allowed;
    if (has_default) text += "; default " + values.front();
    return text + ")";
}

}  // namespace

result<command_line> read_command_line(const std::vector<std::string>& arguments) {
    command_line line;
    CLI::App app{about, "truffula-router"};
    app.set_version_flag("--version", std::string{version});
    app.get_formatter()->column_width(38);
    app.add_option("--config", line.config_file, "YAML file with settings (or TRUFFULA_CONFIG)");
    app.add_flag("--check-config", line.wants_check, "Check the settings and exit");
    app.add_flag("--print-config", line.wants_print, "Print the effective settings and exit");
    const settings defaults;
    std::map<std::string, std::vector<std::string>> values;
    std::map<std::string, bool> flags;
    std::map<std::string, const CLI::Option*> added_flags;
    for (const auto& o : options()) {
        const auto names = o.name == "port" ? "-p," + o.flag() : o.flag();
        const auto help = describe(o, defaults);
        CLI::Option* added = nullptr;
        if (o.type == option::kind::flag) {
            added = app.add_flag(names, flags[o.name], o.help);
            added_flags[o.name] = added;
        } else {
            added = app.add_option(names, values[o.name], help);
            added->type_size(1)->type_name("")->allow_extra_args(false);
            added->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
        }
        added->group(o.section);
    }
    auto reversed = arguments;
    std::ranges::reverse(reversed);
    try {
        app.parse(reversed);
    } catch (const CLI::Success& e) {
        line.print = e.get_exit_code() == 0 && e.get_name() == "CallForVersion"
                         ? std::string{version} + "\n"
                         : app.help();
        return line;
    } catch (const CLI::ParseError& e) {
        return error{
            errc::invalid_config, std::string{"command line: "} + e.what() + " (see --help)"};
    }
    // `--flag=false` counts, too: it wins over lower sources.
    for (const auto& [name, added] : added_flags) {
        if (added->count() > 0) line.values[name] = {flags[name] ? "true" : "false"};
    }
    for (const auto& o : options()) {
        auto& given = values[o.name];
        if (given.size() > 1 && o.type != option::kind::list) {
            return error{
                errc::invalid_config,
                "command line: " + o.flag() + ": found " + std::to_string(given.size()) +
                    " times; give it once"};
        }
        if (!given.empty()) line.values[o.name] = std::move(given);
    }
    return line;
}

}  // namespace truffula::config
