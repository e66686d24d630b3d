#pragma once

#include "shard_sim/fault.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace truffula::shard_sim {

/// How requests are laid out in memory, and so what the router has to count.
enum class layout {
    paged,   ///< Blocks come with each request (`requires_block_allocator`).
    padded,  ///< Prompts are padded to the longest (`requires_padding`).
    plain,   ///< Neither.
};

/// What the simulated model is and does.
struct model_options {
    layout kind = layout::paged;
    std::uint32_t rank = 0;
    std::uint32_t world = 1;        ///< Shards of the group, at least 1.
    std::uint32_t block_size = 16;  ///< Tokens per block.
    bool chunked_prefill = false;   ///< Prompts in parts, in the steps of the running batch.
    std::uint32_t speculate = 0;    ///< A step gives 1 … speculate + 1 tokens.
    std::optional<std::uint32_t> window;
    std::optional<std::uint32_t> max_supported_total_tokens;  ///< Answer of Warmup.
    std::optional<std::uint32_t> max_sequences;               ///< Most live requests.
    std::string constrained_reply;  ///< Text for requests with a schema; empty: as without one.
    std::uint32_t eos_after = 0;    ///< Tokens before the end token; 0: never.
    double eos_probability = 0.0;   ///< Of each token after the first.
    std::uint32_t max_new = 0;      ///< Ends with `length` there; 0: no cap.
    bool supports_generation = true;
    bool supports_embeddings = false;
    bool supports_classification = false;
    std::vector<std::string> fail_prompts;  ///< A call with such a prompt fails as a whole.
};

/// Adapters as this shard knows them.
struct adapter_options {
    double memory = 0.0;                             ///< Fraction of memory an adapter takes.
    std::map<std::string, double> memory_of;         ///< The same, by adapter id.
    std::map<std::string, std::uint32_t> preloaded;  ///< Id to index.
    std::set<std::string> missing;                   ///< Their download fails.
    std::set<std::string> unloadable;                ///< Their load fails.
    std::set<std::string> too_large;                 ///< So does theirs: there is no memory.
    std::map<std::string, std::string> tokens;       ///< Private adapters and their token.
};

/// How long things take.
struct cost_options {
    using duration = std::chrono::microseconds;
    duration prefill_base{0};
    duration prefill_token{0};
    duration decode_base{0};
    duration decode_sequence{0};
    duration download{0};
    duration load{0};
    duration offload{0};
    duration warmup{0};
};

/// Everything the command line can say.
struct options {
    std::string uds_path;  ///< The socket is `<uds_path>-<rank>`; empty: none.
    std::string tcp;       ///< `host:port`; rank r listens on port + r; empty: none.
    bool serial = true;    ///< One call at a time.
    bool strict = false;   ///< Exit status 3 when there were violations.
    std::string report;    ///< File for the report; empty: log only.
    std::string record;    ///< File that gets each request as a line of JSON; empty: none.
    model_options model;
    adapter_options adapters;
    cost_options costs;
    std::vector<fault> faults;
};

/// The address of `rank` when rank 0 listens on `tcp` (`host:port`): the port plus the rank.
std::string tcp_address(const std::string& tcp, std::uint32_t rank);

}  // namespace truffula::shard_sim
