#pragma once

#include "shard_sim/method.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::shard_sim {

/// What goes wrong. All from `unknown_id` on concern the answers of Prefill and Decode.
enum class fault_kind {
    fail,                 ///< INTERNAL with a text; what the call would have changed is lost.
    hang,                 ///< Never answers.
    crash,                ///< The process ends.
    garbage,              ///< Bytes that are no message.
    truncated,            ///< The right bytes, cut in the middle.
    unknown_id,           ///< The first generation is of a request nobody asked for.
    missing_id,           ///< The first generation is left out.
    duplicate_id,         ///< The first generation comes twice.
    no_batch,             ///< The batch is left out, and forgotten.
    other_batch_id,       ///< The batch has another id.
    bad_finish,           ///< The first request ends for an unknown reason.
    no_end,               ///< Whoever should end is not told so and goes on.
    no_tokens,            ///< The first generation has no `next_tokens`.
    empty_tokens,         ///< The first generation has `next_tokens` with empty lists.
    text_without_tokens,  ///< The first request ends, with a text but without tokens.
    zero_count,           ///< The first request ends with `generated_tokens` 0.
    unequal_lists,        ///< The first generation has more ids than log-probabilities.
    bad_utf8,             ///< The first token's text is not UTF-8.
};

/// Names as in options, in the order of `fault_kind`.
inline constexpr std::array<std::string_view, 18> fault_names{
    "fail",
    "hang",
    "crash",
    "garbage",
    "truncated",
    "unknown-id",
    "missing-id",
    "duplicate-id",
    "no-batch",
    "other-batch-id",
    "bad-finish",
    "no-end",
    "no-tokens",
    "empty-tokens",
    "text-without-tokens",
    "zero-count",
    "unequal-lists",
    "bad-utf8"};

struct fault {
    method call = method::prefill;
    std::uint64_t first = 1;  ///< Number of the first call it befalls, from 1.
    std::uint64_t last = 1;   ///< And of the last.
    fault_kind kind = fault_kind::fail;
    std::string text;  ///< Of the status, for `fail`.
};

/// Reads `Method:N:kind[:text]`; N is a number, `N+` (that call and all later) or `*` (all).
///
/// \errors a sentence that says what is wrong, in `why`, and nothing returned.
std::optional<fault> parse_fault(std::string_view text, std::string& why);

/// Counts calls and says which is to fail, how.
class fault_plan {
public:
    explicit fault_plan(std::vector<fault> faults) : faults_(std::move(faults)) {}

    /// To be asked once per call, in the order in which calls are served.
    std::optional<fault> next(method m);

private:
    std::vector<fault> faults_;
    std::array<std::uint64_t, method_names.size()> calls_{};
};

}  // namespace truffula::shard_sim
