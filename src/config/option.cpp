// What an option is called where, and how single values are read and shown.
#include "config/option.hpp"

#include "config/option_table.hpp"
#include "truffula/config/load.hpp"

#include <algorithm>
#include <cstdio>

namespace truffula::config {

std::string show_number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", value);
    return text;
}

std::string option::flag() const {
    auto text = "--" + name;
    std::ranges::replace(text, '_', '-');
    return text;
}

std::string option::variable() const {
    auto text = name;
    std::ranges::transform(text, text.begin(), [](unsigned char c) {
        return static_cast<char>(c >= 'a' && c <= 'z' ? c - ('a' - 'A') : c);
    });
    return text;
}

std::optional<std::pair<std::string, double>> read_weight(std::string_view text) {
    constexpr double heaviest = 1e6;
    const auto mark = text.rfind('=');
    if (mark == std::string_view::npos || mark == 0) return std::nullopt;
    double weight = 0;
    if (!read_number(text.substr(mark + 1), weight)) return std::nullopt;
    if (!(weight > 0 && weight <= heaviest)) return std::nullopt;
    return std::pair{std::string{text.substr(0, mark)}, weight};
}

std::string without_credentials(std::string_view url) {
    const auto scheme = url.find("://");
    const auto begin = scheme == url.npos ? 0 : scheme + 3;
    const auto host = url.substr(begin, url.find_first_of("/?#", begin) - begin);
    const auto at = host.rfind('@');
    if (at == host.npos) return std::string{url};
    return std::string{url.substr(0, begin)}.append(url.substr(begin + at + 1));
}

bool read_bool(std::string_view text, bool& to) {
    std::string low{text};
    std::ranges::transform(low, low.begin(), [](unsigned char c) {
        return static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    });
    for (const auto* yes : {"1", "true", "yes", "on", "t", "y"}) {
        if (low == yes) return to = true;
    }
    for (const auto* no : {"0", "false", "no", "off", "f", "n", ""}) {
        if (low == no) {
            to = false;
            return true;
        }
    }
    return false;
}

}  // namespace truffula::config
