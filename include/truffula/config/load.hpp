#pragma once

#include "truffula/config/settings.hpp"
#include "truffula/error/error.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::config {

constexpr std::string_view version = "0.1.0";

/// The effective settings and where each came from.
struct loaded {
    settings values;
    std::map<std::string, std::string> origins;  ///< `section.key` → place; none: the default.
    std::vector<std::string> warnings;           ///< Accepted, but without effect: for the log.
    std::vector<std::string> notes;              ///< The same where it is usual: level debug.
    std::optional<std::string> print;            ///< Print it and exit with 0 (`--help`, …).
};

using environment = std::map<std::string, std::string>;

/// The process's environment.
environment current_environment();

/// Default < YAML file (`--config`) < environment < command line. Reads the file, opens nothing
/// else.
///
/// \param arguments without the program's name.
/// \param program its name or path: as `lorax-router` it behaves like one unless told otherwise.
/// \errors `errc::invalid_config`: one line with place, what was found and what is allowed.
result<loaded> load(
    const std::vector<std::string>& arguments,
    const environment& env,
    std::string_view program = {});

/// The settings as a YAML file, each with its origin; secrets are left out.
std::string print(const loaded& config);

/// A URL as anybody may see it: without the user name and password that may be in it.
std::string without_credentials(std::string_view url);

/// The ratio by which waiting requests join the running batch; none: their wait is weighed.
std::optional<float> joining_ratio(const settings& s);

/// The total token budget for what the shards answered to the warm-up (contract section 3, step
/// 9): theirs, or the option when it is smaller. For models that do not generate it is the prefill
/// budget.
std::uint32_t total_token_budget(
    const settings& s, std::optional<std::uint32_t> supported, bool generates);

/// What can be judged only after the warm-up (contract section 3, step 10).
///
/// \errors `errc::invalid_config` with the sentence that LoRAX's users know.
/// \param chunked_prefill the shards compute prompts in parts.
result<> check_budgets(
    const settings& s, std::uint32_t total_token_budget, bool chunked_prefill = false);

}  // namespace truffula::config
