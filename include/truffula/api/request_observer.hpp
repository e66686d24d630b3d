#pragma once

#include "truffula/error/error.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace truffula::api {

/// How one successful request went.
struct request_summary {
    using duration = std::chrono::steady_clock::duration;
    duration total{};
    duration validation{};      ///< Handler started → handed to the scheduler.
    duration queue{};           ///< Handed over → batched.
    duration inference{};       ///< Batched → done.
    duration per_token{};       ///< Mean: inference ÷ generated tokens.
    duration to_first_token{};  ///< Handler started → first token.
    std::uint32_t generated_tokens = 0;
    std::uint32_t skipped_tokens = 0;
};

/// How one successful request that does not generate went.
struct pooling_summary {
    using duration = std::chrono::steady_clock::duration;
    bool classifies = false;                   ///< Else it embeds.
    std::vector<std::uint32_t> input_lengths;  ///< Tokens of each input.
    std::size_t entities = 0;                  ///< Of all inputs, when it classifies.
    duration total{};
    duration validation{};  ///< Handler started → first input handed to the scheduler.
    duration queue{};       ///< Mean over the inputs.
    duration inference{};   ///< Likewise: batched → answered.
};

/// What the routes tell of requests, for the metrics of contract section 14. \threads any: calls
/// come from all HTTP threads at once.
class request_observer {
public:
    virtual ~request_observer() = default;

    /// A request reached a generation route with a body that could be read.
    virtual void counted() = 0;
    /// It kept all rules. Tokens.
    virtual void validated(std::uint32_t input_length, std::uint32_t max_new_tokens) = 0;
    /// A stream got `tokens` tokens at once, `gap` after those before.
    virtual void streamed(std::size_t tokens, std::chrono::steady_clock::duration gap) = 0;
    virtual void succeeded(const request_summary& how) = 0;
    virtual void succeeded(const pooling_summary& how) = 0;
    /// \param kind value of the label `err` of `lorax_request_failure`.
    virtual void failed(std::string_view kind) = 0;
};

/// The label `err` for an error.
std::string_view failure_kind(const error& e) noexcept;

}  // namespace truffula::api
