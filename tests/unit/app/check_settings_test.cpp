#include "app/check_settings.hpp"

#include "support/run_coro.hpp"
#include "support/scratch_folder.hpp"

#include <catch2/catch.hpp>

using namespace truffula;

namespace {

/// What is said of a file with this text.
std::string fault(const std::string& text) {
    const scratch_folder folder;
    const auto file = folder.write("t.yaml", text);
    const auto config = config::load({"--tokenizer-name", "m", "--config", file.string()}, {});
    REQUIRE(config);
    const auto checked = app::check_settings(*config);
    if (checked) return "";
    CHECK(checked.error().code == errc::invalid_config);
    auto detail = checked.error().detail;
    const auto path = file.string();
    REQUIRE(detail.starts_with(path));
    return detail.substr(path.size());
}

}  // namespace

TEST_CASE("check settings: the place, what was found, what is allowed", "[app]") {
    CHECK(
        fault("telemetry:\n  log_level: loud\n") ==
        ":2: log_level: found `loud`; allowed: trace, debug, info, warn, error, critical, off");
    CHECK(
        fault("server:\n  port: 1\n  cors_allow_origin: [\"*\"]\n") ==
        ":3: cors_allow_origin: found `*`; leave the list out to allow any origin");
    CHECK(fault("server:\n  cors_allow_credentials: true\n")
              .starts_with(":2: cors_allow_credentials: true needs cors_allow_origin"));
    CHECK(fault("server:\n  remote_image_hosts: [\"http://a\"]\n")
              .starts_with(":2: remote_image_hosts: `http://a` is no host"));
    CHECK(fault("server:\n  remote_image_networks: [10]\n")
              .starts_with(":2: remote_image_networks: `10` is no network"));
}

TEST_CASE("check settings: what can be used is not refused", "[app]") {
    CHECK(app::check_settings({}));
    CHECK(fault("telemetry:\n  log_level: warn,truffula=debug\n").empty());
    CHECK(fault("server:\n  cors_allow_credentials: true\n"
                "  cors_allow_origin: [\"https://a.example\"]\n")
              .empty());
    CHECK(fault("server:\n  remote_image_hosts: [\"*\"]\n").empty());
}
