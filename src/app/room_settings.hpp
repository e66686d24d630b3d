#pragma once

#include "truffula/api/native.hpp"
#include "truffula/batching/engine.hpp"
#include "truffula/config/settings.hpp"
#include "truffula/http/server.hpp"
#include "truffula/text/model_files.hpp"

namespace truffula::app {

// What the rooms of the router are told of the settings: none of them knows the whole.

http::server_settings server_settings(const config::settings& s);

/// Connects to the shards that are configured, and derives the total budget from what they report.
batching::engine_settings engine_settings(const config::settings& s);

api::limits request_limits(const config::settings& s);

/// What `/info` shows.
api::static_facts facts(const config::settings& s, const text::model_files& files);

}  // namespace truffula::app
