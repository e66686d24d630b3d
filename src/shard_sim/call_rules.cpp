#include "shard_sim/call_rules.hpp"

#include <algorithm>
#include <string>

namespace truffula::shard_sim {

call_rules::call_id call_rules::begin(
    method m, std::optional<std::uint32_t> adapter_index, violation_log& log) {
    ++calls_[index_of(m)];
    for (const auto& [id, other] : open_) {
        if (other.given_up) continue;
        const auto both = std::string{name_of(m)} + " during " + std::string{name_of(other.what)};
        if (computes(m) && computes(other.what)) log.add(violation::overlapping_calls, both);
        if (adapter_index && adapter_index == other.adapter_index) {
            log.add(
                violation::adapter_calls_overlap,
                both + " of index " + std::to_string(*adapter_index));
        }
    }
    const auto id = next_++;
    open_.emplace(id, open_call{m, adapter_index});
    peak_open_ = std::max(peak_open_, open_.size());
    return id;
}

void call_rules::give_up(call_id id) {
    const auto found = open_.find(id);
    if (found != open_.end()) found->second.given_up = true;
}

}  // namespace truffula::shard_sim
