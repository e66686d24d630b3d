#pragma once

#include "shard_sim/batches.hpp"
#include "shard_sim/fault.hpp"

namespace truffula::shard_sim {

/// Spoils a step's answer. `garbage` and `truncated` are about bytes and left to the server;
/// `no_end` is about the step itself and left to `batches`.
///
/// The notes are corrected: who is told its end has ended. `no_batch` takes the batch from the
/// answer; that the shard has to forget it is left to the caller.
void malform(fault_kind kind, step& answer);

}  // namespace truffula::shard_sim
