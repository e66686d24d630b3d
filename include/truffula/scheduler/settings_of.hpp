#pragma once

#include "truffula/config/settings.hpp"
#include "truffula/scheduler/join_rule.hpp"
#include "truffula/scheduler/scheduler_state.hpp"

namespace truffula::scheduler {

/// The scheduler's settings as users write them: one place, for the router and the simulator.
scheduler_settings settings_of(const config::settings& s);

/// The same of the rule that lets waiting requests join.
join_settings join_settings_of(const config::settings& s);

}  // namespace truffula::scheduler
