#pragma once

#include <proto/generate.pb.h>

#include <cstdint>
#include <string>
#include <vector>

namespace truffula::shard_sim {

namespace wire = generate::v1;

/// The prompt as the model sees it: the ids sent, else one id per word of `inputs`; the last
/// `truncate` of them if that is not 0; at least one.
std::vector<std::uint32_t> prompt_ids(const wire::Request& request);

/// How an adapter is called in texts: its ids joined by '+'; nothing for no ids.
std::string label_of(const wire::AdapterParameters& parameters);

/// What tells two adapters apart on a shard: ids, weights and ways to merge.
std::string key_of(const wire::AdapterParameters& parameters, wire::AdapterSource source);

}  // namespace truffula::shard_sim
