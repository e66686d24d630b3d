#include "config/sources.hpp"

#include <boost/asio/ip/address.hpp>

#include <algorithm>

namespace truffula::config {
namespace {

/// Two names of one thing: the higher source wins, one source may name it only once.
void prefer(loaded& to, const option& o) {
    if (o.name == "master_shard") to.values.shard.master_shard_uds_path.clear();
    if (o.name == "master_shard_uds_path") to.values.shard.master_shard.clear();
}

bool is_ip(const std::string& text) {
    boost::system::error_code ec;
    boost::asio::ip::make_address(text, ec);
    return !ec;
}

error refused(const option& o, const std::string& value, const std::string& place) {
    const auto found = o.is_secret ? std::string{"a value"} : "`" + value + "`";
    return {
        errc::invalid_config,
        place + ": " + o.name + ": found " + found + "; allowed: " + o.allowed};
}

error both_masters(const std::string& place) {
    return {
        errc::invalid_config,
        place + ": found master_shard and master_shard_uds_path; give one of them"};
}

}  // namespace

result<> apply(
    const option& o, const std::vector<std::string>& values, const std::string& place, loaded& to) {
    if (o.clear) o.clear(to.values);
    for (const auto& value : values) {
        if (!o.set(to.values, value)) return refused(o, value, place);
    }
    prefer(to, o);
    to.origins[o.key()] = place;
    return {};
}

result<> apply_environment(const environment& env, loaded& to) {
    if (env.contains("MASTER_SHARD") && env.contains("MASTER_SHARD_UDS_PATH")) {
        return both_masters("environment");
    }
    for (const auto& o : options()) {
        const auto found = env.find(o.variable());
        if (found == env.end()) continue;
        const bool is_unset = found->second.empty() && o.type != option::kind::flag;
        if (is_unset) continue;
        // Containers set it to a name, which is not for us.
        if (o.name == "hostname" && !is_ip(found->second)) {
            to.notes.push_back(
                "environment HOSTNAME: `" + found->second + "` is not an IP address; ignored");
            continue;
        }
        if (auto ok = apply(o, {found->second}, "environment " + o.variable(), to); !ok) return ok;
    }
    return {};
}

result<> apply_command_line(const command_line& line, loaded& to) {
    if (line.values.contains("master_shard") && line.values.contains("master_shard_uds_path")) {
        return both_masters("command line");
    }
    for (const auto& o : options()) {
        const auto found = line.values.find(o.name);
        if (found == line.values.end()) continue;
        if (o.name == "hostname" && !is_ip(found->second.back())) {
            to.warnings.push_back(
                "--hostname: `" + found->second.back() + "` is not an IP address; using 0.0.0.0");
            continue;
        }
        if (auto ok = apply(o, found->second, o.flag(), to); !ok) return ok;
    }
    return {};
}

}  // namespace truffula::config
