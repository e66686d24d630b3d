#pragma once

#include "shard_sim/generator.hpp"
#include "shard_sim/options.hpp"
#include "shard_sim/prompt.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace truffula::shard_sim {

/// One request while it is written: its generator, its text so far and its stop conditions.
class sequence {
public:
    /// \param label of the adapter whose weights are at the request's index
    sequence(const wire::Request& request, std::string label, const model_options& options);

    std::uint64_t id() const { return id_; }
    std::uint32_t prompt_tokens() const { return static_cast<std::uint32_t>(prompt_.size()); }
    std::uint32_t generated_tokens() const { return generated_; }
    std::uint32_t max_new_tokens() const { return max_new_tokens_; }
    bool ended() const { return ended_; }

    /// The prompt's step: its answer with one token, and what was asked about the prompt.
    wire::Generation prefill(bool withhold_end);

    /// A later step: one token, or several with speculation. Goes on writing after the end, as a
    /// model does that is not told to drop it.
    ///
    /// \param withhold_end a request that would end now does not
    wire::Generation decode(bool withhold_end);

private:
    void append(wire::NextTokens& out);
    std::optional<wire::FinishReason> finish_of(const token& last) const;
    bool end_if_due(const token& last, bool withhold_end, wire::Generation& out);

    std::uint64_t id_;
    std::vector<std::uint32_t> prompt_;
    bool padded_;
    bool prefill_logprobs_;
    std::uint32_t alternatives_;
    std::uint32_t speculate_;
    std::uint32_t max_new_tokens_;
    bool ignore_end_token_;
    std::vector<std::string> stops_;
    std::optional<std::uint64_t> seed_;  ///< Of a sampling request.
    generator words_;
    std::string text_;
    std::uint32_t generated_ = 0;
    std::uint32_t skipped_ = 0;
    bool ended_ = false;
};

}  // namespace truffula::shard_sim
