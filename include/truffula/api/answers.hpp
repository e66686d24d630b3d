#pragma once

#include "truffula/error/error.hpp"
#include "truffula/http/message.hpp"
#include "truffula/inference/step.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// What the native routes write (contract sections 7, 8 and 10).
namespace truffula::api {

/// Appends the JSON body of an error.
void append_error(std::string& out, const error& e);

/// The error as a whole answer. One that comes from stopping also closes the connection.
http::response error_response(const error& e);

/// Name of a finish reason on native routes.
std::string_view native_name(inference::finish_reason reason) noexcept;

/// Appends the event of a token that is not the last, frame included.
void append_token_event(std::string& out, const inference::token& token);

/// Appends the event of the last token, frame included.
///
/// \param text the whole answer, with the prompt if asked for.
/// \param prompt_tokens set: the event carries details.
void append_last_event(
    std::string& out,
    const inference::token& token,
    const inference::generated_text& end,
    std::string_view text,
    std::optional<std::uint32_t> prompt_tokens);

/// Appends an error event, frame included.
void append_error_event(std::string& out, const error& e);

/// Everything one sequence gave.
struct collected_answer {
    std::uint32_t prefill_length = 0;  ///< As the shard counted; 0: it did not.
    std::vector<inference::prefill_token> prefill;
    std::vector<inference::token> tokens;
    inference::generated_text end;
    inference::timeline times;

    /// Adds a step; one that says the request was started over forgets what came before.
    void add(inference::step&& step);
};

/// Index of the sequence with the highest mean log-probability, the first on ties; 0 for one.
std::size_t best_sequence(std::span<const collected_answer> all);

/// What the body shows beside the sequences.
struct answer_form {
    bool details = false;
    std::string_view text_prefix;  ///< The prompt when full text was asked for.
    std::uint32_t prompt_tokens = 0;
};

/// Appends the generate body: `all[best]`, and the others as `best_of_sequences`.
void append_generate_body(
    std::string& out,
    std::span<const collected_answer> all,
    std::size_t best,
    const answer_form& form);

}  // namespace truffula::api
