#pragma once

#include "truffula/error/error.hpp"
#include "truffula/inference/step.hpp"

#include <string_view>

namespace truffula::shard {

/// Parses one `Generation` message (the bytes of a `generation_span`).
///
/// \errors `errc::protocol` if the bytes do not parse, carry no token, have lists of unequal
/// length or an unknown finish reason.
/// \threads any.
result<inference::step> read_generation(std::string_view bytes);

}  // namespace truffula::shard
