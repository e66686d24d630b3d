#pragma once

#include "config/option.hpp"
#include "truffula/config/load.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace truffula::config {

/// The command line, read but not yet applied: the file it names comes before it.
struct command_line {
    std::string config_file;
    bool wants_check = false;
    bool wants_print = false;
    std::optional<std::string> print;                        // help or version
    std::map<std::string, std::vector<std::string>> values;  // by option name
};

result<command_line> read_command_line(const std::vector<std::string>& arguments);

result<> apply_file(const std::string& path, loaded& to);
result<> apply_environment(const environment& env, loaded& to);
result<> apply_command_line(const command_line& line, loaded& to);

/// Sets one option from one source. `place` is what people find it by (`file:line`, `--flag`).
result<> apply(
    const option& o, const std::vector<std::string>& values, const std::string& place, loaded& to);

}  // namespace truffula::config
