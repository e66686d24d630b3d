#pragma once

#include "truffula/api/generate_body.hpp"
#include "truffula/error/error.hpp"
#include "truffula/inference/request.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

// The rules of contract section 6, numbered as there, in their order. All are pure; errors are
// `errc::validation`, those of lengths in tokens (rules 20–22) `errc::too_long`. Rule 1 (permits)
// stands between `check_endpoint` and the rest, encoding (rule 19) between `check_parameters` and
// `check_lengths`.
namespace truffula::api {

/// What requests may ask for.
struct limits {
    std::uint64_t max_best_of = 2;
    std::uint64_t max_stop_sequences = 10;
    std::uint64_t max_input_length = 1792;  ///< Tokens.
    std::uint64_t max_total_tokens = 2048;  ///< Prompt and new ones.
};

/// Rules 0a–0d: what the way of answering allows.
result<> check_endpoint(const generate_parameters& asked, const limits& allowed, bool is_streamed);

/// Rules 2–18: what can be said without counting tokens.
result<> check_parameters(const generate_body& body, const limits& allowed);

/// Tokens that a request counts as.
struct token_counts {
    std::uint32_t input = 0;  ///< Without a tokenizer: the most it can be.
    std::uint32_t new_tokens = 0;
};

/// Rules 20–22.
///
/// \param input_tokens tokens of the prompt after `truncate`; none without a tokenizer.
result<token_counts> check_lengths(
    const generate_parameters& asked,
    const limits& allowed,
    std::optional<std::size_t> input_tokens);

/// The request for the engine, with the defaults of section 5.1 and, when the client gave no seed,
/// a random one.
///
/// \param ids tokens of the prompt after `truncate`; empty without a tokenizer.
/// \param inputs the prompt, cut if `truncate` cuts text.
inference::request make_request(
    const generate_parameters& asked,
    const limits& allowed,
    token_counts counts,
    std::vector<std::uint32_t> ids,
    std::string_view inputs,
    bool is_streamed);

/// A random seed. \threads any.
std::uint64_t random_seed();

}  // namespace truffula::api
