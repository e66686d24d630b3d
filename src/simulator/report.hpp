#pragma once

#include "simulator/scenario.hpp"

#include <nlohmann/json_fwd.hpp>

#include <iosfwd>
#include <string>

namespace truffula::simulator {

/// What a report is about.
struct report {
    std::string title;  ///< What was simulated, in a line.
    const workload& requests;
    const outcome& happened;
    const summary& figures;
};

/// For a terminal: figures, tenants, and the adapters with most requests.
void write_table(std::ostream& to, const report& r);

/// All figures, times in milliseconds unless the key says otherwise.
nlohmann::ordered_json to_json(const summary& s);

/// The same and the timeline, for programs.
nlohmann::ordered_json to_json(const report& r);

/// One file that shows figures and plots in a browser, and asks no other host for anything.
void write_html(std::ostream& to, const report& r);

}  // namespace truffula::simulator
