#pragma once

#include "simulator/command_line.hpp"

#include <string>
#include <vector>

namespace CLI {
class App;  // NOLINT(readability-identifier-naming): CLI11's name
}

namespace truffula::simulator {

/// The flags that say which requests there are: a trace, or how synthetic ones arrive.
class arrival_flags {
public:
    /// Adds them to a subcommand. What is read goes to `out` and here; both must outlive the
    /// parsing.
    void add_to(CLI::App& app, options& out);

    /// After the parsing: what takes more than reading a number.
    ///
    /// Throws `CLI::ValidationError` with the flag's name.
    void take(arrival_options& out) const;

private:
    std::string input_ = "lognormal:100:0.8:500";
    std::string output_ = "64";
    std::vector<std::string> tenants_;
};

}  // namespace truffula::simulator
