#include "truffula/api/openai/stop_trimmer.hpp"

#include <algorithm>

namespace truffula::api::openai {

std::size_t stop_trimmer::first_stop() const {
    const std::string_view text{held_};
    for (std::size_t at = 0; at < text.size(); ++at) {
        const auto rest = text.substr(at);
        const auto may_be = [&](std::string_view stop) {
            return rest.starts_with(stop) || stop.starts_with(rest);
        };
        if (std::any_of(stops_.begin(), stops_.end(), may_be)) return at;
    }
    return text.size();
}

void stop_trimmer::feed(std::string_view piece, std::string& out) {
    if (stops_.empty()) {
        out += piece;
        return;
    }
    held_ += piece;
    const auto shown = first_stop();
    out.append(held_, 0, shown);
    held_.erase(0, shown);
}

void stop_trimmer::finish(bool is_stopped, std::string& out) {
    if (is_stopped) {
        out += trim(held_, stops_);
    } else {
        out += held_;
    }
    held_.clear();
}

std::string_view stop_trimmer::trim(std::string_view text, const std::vector<std::string>& stops) {
    auto end = text.size();
    for (const auto& stop : stops) end = std::min(end, text.find(stop));
    return text.substr(0, end);
}

}  // namespace truffula::api::openai
