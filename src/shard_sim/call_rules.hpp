#pragma once

#include "shard_sim/method.hpp"
#include "shard_sim/violations.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <optional>

namespace truffula::shard_sim {

/// Which calls may be open at the same time, and how many there were. A call is open from its
/// arrival until its answer is about to be written.
class call_rules {
public:
    using call_id = std::uint64_t;

    /// \param adapter_index of LoadAdapter and OffloadAdapter
    call_id begin(method m, std::optional<std::uint32_t> adapter_index, violation_log& log);
    void end(call_id id) { open_.erase(id); }

    /// The client gave the call up: it stays open on the shard, but the client may go on.
    void give_up(call_id id);

    std::uint64_t calls(method m) const { return calls_[index_of(m)]; }
    std::size_t peak_open() const { return peak_open_; }

private:
    struct open_call {
        method what;
        std::optional<std::uint32_t> adapter_index;
        bool given_up = false;
    };
    std::map<call_id, open_call> open_;
    std::array<std::uint64_t, method_names.size()> calls_{};
    call_id next_ = 0;
    std::size_t peak_open_ = 0;
};

}  // namespace truffula::shard_sim
