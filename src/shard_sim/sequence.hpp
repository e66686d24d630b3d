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

    /// Prompt tokens whose keys and values are in memory.
    std::uint32_t computed_tokens() const { return computed_; }
    std::uint32_t uncomputed_tokens() const { return prompt_tokens() - computed_; }

    /// Tokens that the next step takes in: a part of the prompt, or the token before.
    std::uint32_t next_input() const { return next_input_; }
    void plan(std::uint32_t next_input) { next_input_ = next_input; }

    /// Takes in the part of the prompt that is due, if any; how many tokens.
    std::uint32_t compute_prompt();

    /// The step after the last token of the prompt: one token, and what was asked about the prompt.
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
    std::uint32_t computed_ = 0;
    std::uint32_t next_input_ = 0;
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
