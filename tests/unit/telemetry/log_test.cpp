#include "truffula/telemetry/log.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <spdlog/formatter.h>

using namespace truffula;

TEST_CASE("log: levels from filter expressions", "[telemetry]") {
    CHECK(*telemetry::parse_log_level("") == spdlog::level::info);
    CHECK(*telemetry::parse_log_level("debug") == spdlog::level::debug);
    CHECK(*telemetry::parse_log_level("lorax_router=debug,warn") == spdlog::level::warn);
    CHECK(*telemetry::parse_log_level("lorax_router=debug") == spdlog::level::info);
    // As LoRAX's reader takes them.
    CHECK(*telemetry::parse_log_level("INFO") == spdlog::level::info);
    CHECK(*telemetry::parse_log_level("lorax_router=DEBUG,Warn") == spdlog::level::warn);
    CHECK(telemetry::parse_log_level("loud").has_error());
    CHECK(telemetry::parse_log_level("a=b,loud").has_error());
}

TEST_CASE("log: JSON lines take any bytes", "[telemetry]") {
    const auto formatter = telemetry::make_json_formatter();
    const std::string message = "quote \" newline \n bad \xff end";
    spdlog::details::log_msg msg{"x", spdlog::level::warn, message};
    spdlog::memory_buf_t out;
    formatter->format(msg, out);
    const std::string line{out.data(), out.size()};
    CHECK(line.back() == '\n');
    CHECK(line.find('\n') == line.size() - 1);
    const auto j = nlohmann::json::parse(line);
    CHECK(j["level"] == "WARN");
    CHECK(j["message"] == "quote \" newline \n bad \xEF\xBF\xBD end");
    CHECK(j["timestamp"].get<std::string>().size() == 27);
}
