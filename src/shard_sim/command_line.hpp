#pragma once

#include "shard_sim/options.hpp"

#include <iosfwd>
#include <optional>

namespace truffula::shard_sim {

/// Reads the command line into `out`; help and errors go to `print`.
///
/// Returns the exit status, after help or an error was printed, or nothing to go on: 0 after
/// `--help`, 2 after an error.
std::optional<int> parse_command_line(
    int argc, const char* const* argv, options& out, std::ostream& print);

}  // namespace truffula::shard_sim
