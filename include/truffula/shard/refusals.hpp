#pragma once

#include <string_view>

namespace truffula::shard {

/// What the words of an error begin with whose gRPC status is RESOURCE_EXHAUSTED.
inline constexpr std::string_view out_of_resources = "out of resources: ";

/// Do a shard's words say that it had no memory for a call? Then the same call may succeed later.
/// The status does not tell: all errors of a LoRAX shard are INTERNAL.
bool lacks_memory(std::string_view words) noexcept;

}  // namespace truffula::shard
