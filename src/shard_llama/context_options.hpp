#pragma once

#include "truffula/error/error.hpp"

#include <cstdint>

namespace truffula::shard_llama {

struct context_options {
    std::uint32_t max_total_tokens = 8192;  ///< KV cells, shared by all sequences.
    std::uint32_t max_sequences = 64;       ///< Sequences at a time; llama allows 256.
    std::uint32_t threads = 2;              ///< Threads of one computation.
    std::uint32_t step_tokens = 512;        ///< Most tokens of one pass through the model.
    bool flash_attention = false;           ///< Fused attention: faster, rounds by company.
    /// All sequences in one pool of cells, or each in its own total / sequences of them. Only the
    /// latter gives a sequence the same tokens alone and in company: see docs/model-shard.md.
    bool shared_cells = false;

    /// Most cells that one sequence can get.
    std::uint32_t cells_of_one() const {
        return shared_cells ? max_total_tokens : max_total_tokens / max_sequences;
    }
};

/// Refuses sizes that do not go together: libllama would end the process over some of them.
///
/// \errors `errc::invalid_config` with a sentence that names the options.
result<> check_sizes(const context_options& options);

/// Refuses more cells than this machine has memory for: the kernel would end the process.
///
/// \errors `errc::invalid_config` with a sentence that names the option.
result<> check_memory(
    const context_options& options, std::uint64_t bytes_per_cell, std::uint64_t machine_bytes);

}  // namespace truffula::shard_llama
