#pragma once

#include "config/option.hpp"
#include "truffula/config/load.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace truffula::config {

/// Reads a number that is the whole text.
template <class T>
bool read_number(std::string_view text, T& to) {
    const auto* const begin = text.data();
    const auto* const end = begin + text.size();
    const auto read = std::from_chars(begin, end, to);
    return read.ec == std::errc{} && read.ptr == end;
}

/// As short as six digits allow.
std::string show_number(double value);

/// The numbers from `low` to `high`, for people.
template <class T>
std::string range_text(T low, T high, const char* unit) {
    std::string text = show_number(static_cast<double>(low));
    if constexpr (std::is_integral_v<T>) text = std::to_string(low);
    if (sizeof(T) > 2 && high == std::numeric_limits<T>::max()) {
        text = "at least " + text;
    } else if constexpr (std::is_integral_v<T>) {
        text += " … " + std::to_string(high);
    } else {
        text += " … " + show_number(static_cast<double>(high));
    }
    const std::string kind = std::is_integral_v<T> ? "a whole number" : "a number";
    return kind + ", " + text + (*unit != '\0' ? " " + std::string{unit} : "");
}

/// Builds the options, section by section; `Get` gives the field of a `settings`.
class option_table {
public:
    /// Options that are added from now on belong to it.
    void section(const char* name) { section_ = name; }

    /// A whole number or a fraction from `low` to `high`, `unit` included in what people read.
    template <class T, class Get>
    void number(const char* name, Get get, T low, T high, const char* unit, const char* help) {
        auto& o = add(name, range_text(low, high, unit), help);
        o.set = [get, low, high](settings& s, std::string_view text) {
            T value{};
            if (!read_number(text, value)) return false;
            if (!(value >= low && value <= high)) return false;  // NaN, too
            get(s) = value;
            return true;
        };
        o.show = [get](const settings& s) -> std::vector<std::string> {
            // The getter is written once, for writing; showing changes nothing.
            const auto value = get(const_cast<settings&>(s));
            return show(value);
        };
        using field = std::remove_cvref_t<decltype(get(std::declval<settings&>()))>;
        o.is_optional = !std::is_same_v<field, T>;
    }

    /// Any text; `allowed` says what it means.
    template <class Get>
    void text(const char* name, Get get, const char* allowed, const char* help) {
        auto& o = add(name, allowed, help);
        o.is_text = true;
        o.set = [get](settings& s, std::string_view value) {
            get(s) = value;
            return true;
        };
        o.show = [get](const settings& s) {
            return std::vector<std::string>{get(const_cast<settings&>(s))};
        };
    }

    /// A URL, shown without credentials.
    template <class Get>
    void url(const char* name, Get get, const char* help) {
        text(name, get, "a URL", help);
        all_.back().show = [get](const settings& s) {
            return std::vector{without_credentials(get(const_cast<settings&>(s)))};
        };
    }

    /// One of the texts `of`.
    template <class Get>
    void choice(const char* name, Get get, std::vector<std::string> of, const char* help) {
        std::string allowed;
        for (const auto& one : of) allowed += (allowed.empty() ? "one of " : ", ") + one;
        text(name, get, allowed.c_str(), help);
        auto& o = all_.back();
        o.set = [get, of](settings& s, std::string_view value) {
            if (std::ranges::find(of, value) == of.end()) return false;
            get(s) = value;
            return true;
        };
    }

    /// True or false, as `read_bool` reads it.
    template <class Get>
    void flag(const char* name, Get get, const char* help) {
        auto& o = add(name, "true or false", help);
        o.type = option::kind::flag;
        o.set = [get](settings& s, std::string_view value) {
            bool on = false;
            if (!read_bool(value, on)) return false;
            get(s) = on;
            return true;
        };
        o.show = [get](const settings& s) {
            return std::vector<std::string>{get(const_cast<settings&>(s)) ? "true" : "false"};
        };
    }

    /// Any number of texts.
    template <class Get>
    void list(const char* name, Get get, const char* allowed, const char* help) {
        auto& o = add(name, allowed, help);
        o.type = option::kind::list;
        o.set = [get](settings& s, std::string_view value) {
            get(s).emplace_back(value);
            return true;
        };
        o.clear = [get](settings& s) { get(s).clear(); };
        o.show = [get](const settings& s) { return get(const_cast<settings&>(s)); };
    }

    /// The option added last, for what no function here says.
    option& last() { return all_.back(); }
    std::vector<option> take() { return std::move(all_); }

private:
    option& add(const char* name, std::string allowed, const char* help) {
        option o;
        o.section = section_;
        o.name = name;
        o.allowed = std::move(allowed);
        o.help = help;
        all_.push_back(std::move(o));
        return all_.back();
    }

    template <class T>
    static std::vector<std::string> show(const T& value) {
        if constexpr (std::is_integral_v<T>) {
            return {std::to_string(value)};
        } else {
            return {show_number(static_cast<double>(value))};
        }
    }
    template <class T>
    static std::vector<std::string> show(const std::optional<T>& value) {
        return value ? show(*value) : std::vector<std::string>{};
    }

    std::string section_;
    std::vector<option> all_;
};

}  // namespace truffula::config
