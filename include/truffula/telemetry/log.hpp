#pragma once

#include "truffula/error/error.hpp"

#include <spdlog/common.h>

#include <memory>
#include <string>
#include <string_view>

namespace spdlog {
class formatter;
}

namespace truffula::telemetry {

struct log_settings {
    std::string level = "info";  ///< See `parse_log_level`.
    bool as_json = false;        ///< One JSON object a line.
};

/// The level that a filter expression names: `info`, or the first directive without a target of
/// one like `warn,truffula=debug`. Known: `trace debug info warn error critical off`.
///
/// \errors `errc::invalid_config` with what was found and what is allowed.
result<spdlog::level::level_enum> parse_log_level(std::string_view expression);

/// Lines as `{"timestamp","level","message","target"}`, safe for any bytes in the message.
std::unique_ptr<spdlog::formatter> make_json_formatter();

/// Sets up the process's logger: lines on stdout, as LoRAX's launcher reads them.
///
/// \errors those of `parse_log_level`.
result<> start_logging(const log_settings& settings);

}  // namespace truffula::telemetry
