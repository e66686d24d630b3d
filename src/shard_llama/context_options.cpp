#include "shard_llama/context_options.hpp"

#include <string>

namespace truffula::shard_llama {
namespace {

constexpr std::uint32_t most_cells = 1U << 24U;  // llama rounds up, and counts in 32 bits
constexpr std::uint32_t most_sequences = 256;
constexpr std::uint32_t most_threads = 256;
constexpr std::uint32_t fewest_cells = 2;  // one for the prompt, one for the answer

std::string option(const char* name, std::uint32_t value) {
    return std::string{name} + " " + std::to_string(value);
}

error out_of_range(const char* name, std::uint32_t value, std::uint32_t most) {
    return {
        errc::invalid_config,
        option(name, value) + " is not between 1 and " + std::to_string(most)};
}

}  // namespace

result<> check_sizes(const context_options& o) {
    if (o.max_sequences == 0 || o.max_sequences > most_sequences) {
        return out_of_range("--max-sequences", o.max_sequences, most_sequences);
    }
    if (o.threads == 0 || o.threads > most_threads) {
        return out_of_range("--threads", o.threads, most_threads);
    }
    if (o.max_total_tokens == 0 || o.max_total_tokens > most_cells) {
        return out_of_range("--max-total-tokens", o.max_total_tokens, most_cells);
    }
    if (o.max_total_tokens / o.max_sequences < fewest_cells) {
        return error{
            errc::invalid_config,
            option("--max-total-tokens", o.max_total_tokens) + " leaves less than " +
                std::to_string(fewest_cells) + " tokens for each of " +
                option("--max-sequences", o.max_sequences)};
    }
    if (o.step_tokens < o.max_sequences) {
        return error{
            errc::invalid_config,
            option("--step-tokens", o.step_tokens) + " is below " +
                option("--max-sequences", o.max_sequences) +
                ": one pass must hold one token of every sequence"};
    }
    if (o.step_tokens > most_cells) {
        return out_of_range("--step-tokens", o.step_tokens, most_cells);
    }
    return {};
}

result<> check_memory(
    const context_options& o, std::uint64_t bytes_per_cell, std::uint64_t machine_bytes) {
    const auto wanted = o.max_total_tokens * bytes_per_cell;
    if (wanted <= machine_bytes) return {};
    return error{
        errc::invalid_config,
        option("--max-total-tokens", o.max_total_tokens) + " takes " +
            std::to_string(wanted >> 20U) + " MiB, but this machine has " +
            std::to_string(machine_bytes >> 20U) + " MiB"};
}

}  // namespace truffula::shard_llama
