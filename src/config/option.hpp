#pragma once

#include "truffula/config/settings.hpp"
#include "truffula/error/error.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::config {

/// One setting: everything that file, environment, command line, help and print-out know of it.
struct option {
    enum class kind { value, flag, list };

    std::string section;
    std::string name;  ///< As in YAML; with dashes it is the command line's.
    kind type = kind::value;
    std::string allowed;  ///< What may be there, for errors and help.
    std::string help;
    bool is_secret = false;
    bool is_optional = false;  ///< YAML `null` unsets it.
    bool is_text = false;      ///< Quotes are fine.
    bool is_map = false;       ///< A list of `key=value` that YAML may write as a mapping.

    /// Reads one value; a list gets one more element. False: it is not `allowed`.
    std::function<bool(settings&, std::string_view)> set;
    std::function<void(settings&)> clear;  ///< Of a list, before a higher source fills it.
    std::function<std::vector<std::string>(const settings&)> show;

    std::string key() const { return section + "." + name; }
    std::string flag() const;      ///< `--max-total-tokens`
    std::string variable() const;  ///< `MAX_TOTAL_TOKENS`
};

/// All settings, in the order of the file.
const std::vector<option>& options();

/// Strict readers: the whole text has to be the value.
bool read_bool(std::string_view text, bool& to);

}  // namespace truffula::config
