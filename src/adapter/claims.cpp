// Which tokens may use an adapter, and which wait for the download that proves it.
#include "adapter/table_impl.hpp"

#include <algorithm>

namespace truffula::adapter {

bool adapter_table::impl::needs_token(const record& r) const {
    return r.ref.from == source::hub || r.ref.from == source::pbase;
}

std::optional<error> adapter_table::impl::refused(
    record& r, const std::string& token, time_point now) {
    // Also while what a failed load left is taken off the shards.
    if (now < r.failure.until) return r.failure.why;
    if (r.state == adapter_state::failed) {
        r.state = r.is_downloaded ? adapter_state::downloaded : adapter_state::unknown;
    }
    const auto note = r.refused.find(token);
    if (note != r.refused.end() && now < note->second.until) return note->second.why;
    return std::nullopt;
}

credential adapter_table::impl::open_claim(
    adapter_key key, const std::string& token, const std::string& tenant, time_point since) {
    const auto who = next_credential++;
    auto& line = download_lines[tenant];
    ++line.open;
    line.last_turn = std::max(line.last_turn + 1, download_turn);
    const auto& c = claims[who] = {key, token, tenant, 0, since, line.last_turn, false, false};
    records[key].claims[token] = who;
    want_download.insert(place_of(who, c));
    return who;
}

void adapter_table::impl::close_claim(credential who) {
    const auto found = claims.find(who);
    if (found == claims.end()) return;
    const auto& c = found->second;
    want_download.erase(place_of(who, c));
    records[c.key].claims.erase(c.token);
    const auto line = download_lines.find(c.tenant);
    if (--line->second.open == 0) download_lines.erase(line);
    claims.erase(found);
}

/// Somebody waits who may use it: nobody has to go for those whose token is not proven.
bool adapter_table::impl::has_granted(const record& r) const {
    std::size_t pending = 0;
    for (const auto& [token, who] : r.claims) pending += claims.at(who).pending;
    return r.waiting > pending;
}

}  // namespace truffula::adapter
