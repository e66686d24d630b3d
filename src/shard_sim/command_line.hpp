#pragma once

#include "shard_sim/options.hpp"

#include <optional>

namespace truffula::shard_sim {

/// Reads the command line into `out`.
///
/// Returns the exit status, after help or an error was printed, or nothing to go on: 0 after
/// `--help`, 2 after an error.
std::optional<int> parse_command_line(int argc, const char* const* argv, options& out);

}  // namespace truffula::shard_sim
