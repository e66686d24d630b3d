#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace truffula::scheduler {

/// Which rule keeps a request in its queue.
enum class wait_reason : std::uint8_t {
    slot,            ///< Its adapter waits for a slot.
    memory,          ///< Its adapter waits for memory of the shards.
    prefill_budget,  ///< Its prompt did not fit beside those taken last.
    total_budget,    ///< The tokens of those that run leave too little.
    blocks,          ///< Too few blocks are free.
    batch_size,      ///< `max_batch_size` requests run.
    join_size,       ///< Joining was not worth its prefill yet.
    downloading,     ///< The shards fetch its adapter, or will.
    loading,         ///< The shards load its adapter, or will.
    draining,        ///< Its adapter gives its slot to another one.
    backing_off,     ///< Its adapter failed a while ago.
    proof,           ///< Its api token is not proven yet.
    share,           ///< Its tenant runs more than its share, and the last places are kept.
    policy,          ///< Others go first; also: it has just come.
};
constexpr std::size_t wait_reasons = static_cast<std::size_t>(wait_reason::policy) + 1;

/// As metrics name it.
std::string_view name_of(wait_reason r) noexcept;

/// How many requests wait for which reason, in the order of the enum.
using waiting_by_reason = std::array<std::size_t, wait_reasons>;

}  // namespace truffula::scheduler
