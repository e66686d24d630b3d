#pragma once

#include "truffula/config/load.hpp"
#include "truffula/error/error.hpp"

namespace truffula::app {

/// What only the rooms that use them can say of settings, before anything is opened: log level,
/// CORS, hosts of images.
///
/// \errors `errc::invalid_config`: the place that the setting came from, and what is wrong.
result<> check_settings(const config::loaded& config);

}  // namespace truffula::app
