#include "app/check_settings.hpp"

#include "app/room_settings.hpp"
#include "truffula/http/cors.hpp"
#include "truffula/http/outbound_rules.hpp"
#include "truffula/telemetry/log.hpp"

#include <string>

namespace truffula::app {
namespace {

/// The place before a detail that begins with the name of the setting.
error placed(const config::loaded& config, const std::string& section, const std::string& detail) {
    const auto name = detail.substr(0, detail.find(':'));
    const auto origin = config.origins.find(section + "." + name);
    const auto place = origin == config.origins.end() ? std::string{"default"} : origin->second;
    return {errc::invalid_config, place + ": " + detail};
}

}  // namespace

result<> check_settings(const config::loaded& config) {
    const auto& s = config.values;
    const auto level = telemetry::parse_log_level(s.telemetry.log_level);
    if (!level) return placed(config, "telemetry", level.error().detail);
    const auto cross_origin = http::cors::create(server_settings(s).cors);
    if (!cross_origin) return placed(config, "server", cross_origin.error().detail);
    const auto hosts = http::outbound_rules::read(s.server.remote_image_hosts, {});
    if (!hosts) return placed(config, "server", "remote_image_hosts: " + hosts.error().detail);
    const auto networks = http::outbound_rules::read({}, s.server.remote_image_networks);
    if (!networks) {
        return placed(config, "server", "remote_image_networks: " + networks.error().detail);
    }
    return {};
}

}  // namespace truffula::app
