#pragma once

#include "simulator/scenario.hpp"
#include "simulator/sweep.hpp"
#include "simulator/trace.hpp"

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace truffula::simulator {

enum class command : std::uint8_t { run, sweep, goals };

/// Everything the command line can say.
struct options {
    command what = command::run;
    arrival_options arrivals;
    std::string trace_file;  ///< Empty: synthetic requests.
    on_bad_line bad_lines = on_bad_line::stop;
    std::uint64_t seed = 1;
    std::size_t seeds = 5;  ///< `goals`, `sweep`: figures are medians over so many.

    scenario simulated;
    std::string config_file;
    std::vector<router_option> router_options;
    std::vector<varied_option> varied;  ///< `sweep`.

    std::string json_file;  ///< `-`: standard output, instead of the table.
    std::string html_file;
    std::string trace_output;
    bool is_quiet = false;  ///< No progress bar.
};

/// Reads the command line; the exit status when there is nothing more to do (help, an error).
std::optional<int> read_command_line(
    int argc, const char* const* argv, options& out, std::ostream& print, std::ostream& complain);

}  // namespace truffula::simulator
