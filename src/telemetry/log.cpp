#include "truffula/telemetry/log.hpp"

#include <fmt/chrono.h>
#include <nlohmann/json.hpp>
#include <spdlog/formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace truffula::telemetry {
namespace {

using named_level = std::pair<std::string_view, spdlog::level::level_enum>;
constexpr std::array levels{
    named_level{"trace", spdlog::level::trace},
    named_level{"debug", spdlog::level::debug},
    named_level{"info", spdlog::level::info},
    named_level{"warn", spdlog::level::warn},
    named_level{"error", spdlog::level::err},
    named_level{"critical", spdlog::level::critical},
    named_level{"off", spdlog::level::off},
};

std::string_view name_of(spdlog::level::level_enum level) {
    const auto found = std::ranges::find(levels, level, &named_level::second);
    return found == levels.end() ? "info" : found->first;
}

std::string lower(std::string_view text) {
    std::string low{text};
    std::ranges::transform(low, low.begin(), [](unsigned char c) {
        return static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    });
    return low;
}

class json_formatter final : public spdlog::formatter {
public:
    void format(const spdlog::details::log_msg& msg, spdlog::memory_buf_t& to) override {
        const auto whole = std::chrono::floor<std::chrono::seconds>(msg.time);
        const auto micros =
            std::chrono::duration_cast<std::chrono::microseconds>(msg.time - whole).count();
        const std::time_t time = std::chrono::system_clock::to_time_t(whole);
        nlohmann::ordered_json line;
        line["timestamp"] = fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", fmt::gmtime(time), micros);
        auto level = std::string{name_of(msg.level)};
        std::ranges::transform(
            level, level.begin(), [](char c) { return static_cast<char>(c - 'a' + 'A'); });
        line["level"] = level;
        line["message"] = std::string{msg.payload.data(), msg.payload.size()};
        line["target"] = "truffula_router";
        auto text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        text += '\n';
        to.append(text.data(), text.data() + text.size());
    }
    std::unique_ptr<spdlog::formatter> clone() const override {
        return std::make_unique<json_formatter>();
    }
};

}  // namespace

result<spdlog::level::level_enum> parse_log_level(std::string_view expression) {
    auto rest = expression;
    while (!rest.empty()) {
        const auto end = std::min(rest.find(','), rest.size());
        const auto directive = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (directive.find('=') != std::string_view::npos) continue;  // of one target
        const auto found = std::ranges::find(levels, lower(directive), &named_level::first);
        if (found != levels.end()) return found->second;
        return error{
            errc::invalid_config,
            "log_level: found `" + std::string{directive} +
                "`; allowed: trace, debug, info, warn, error, critical, off"};
    }
    return spdlog::level::info;
}

std::unique_ptr<spdlog::formatter> make_json_formatter() {
    return std::make_unique<json_formatter>();
}

result<> start_logging(const log_settings& settings) {
    const auto level = parse_log_level(settings.level);
    if (!level) return level.error();
    auto logger = spdlog::stdout_color_mt("truffula");
    if (settings.as_json) {
        logger->set_formatter(make_json_formatter());
    } else {
        logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
    }
    logger->set_level(*level);
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
    return {};
}

}  // namespace truffula::telemetry
