#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::shard_sim {

struct token {
    std::uint32_t id = 0;
    std::string text;
    float logprob = 0.0F;
    bool special = false;
};

/// The text the model would write: a pure function of prompt, adapter and seed.
///
/// Token 0 reads `@` and the adapter's label (`@base` without one), so that an answer shows which
/// weights gave it; then come words with a leading space, some of several bytes per character.
class generator {
public:
    static constexpr std::uint32_t end_token = 2;

    /// \param seed 0 for greedy decoding.
    /// \param eos_after the end token is token number `eos_after` (from 0); 0: never for that
    /// reason \param eos_probability of every token after the first to be the end token
    generator(
        std::span<const std::uint32_t> prompt,
        std::string label,
        std::uint64_t seed,
        std::uint32_t eos_after,
        double eos_probability);

    /// Writes `reply` (ASCII), cut in small tokens, and then the end token, instead of words.
    void write_reply(std::string reply) { reply_ = std::move(reply); }

    /// Token number `n`, from 0.
    token at(std::uint32_t n) const;

    /// The `k` next best candidates for token number `n`, best first, all worse than `at(n)`.
    std::vector<token> alternatives(std::uint32_t n, std::uint32_t k) const;

    /// How many of `speculate` guesses after token number `n` turn out right.
    std::uint32_t accepted(std::uint32_t n, std::uint32_t speculate) const;

    /// Text of a prompt's token, made up from its id.
    static std::string prompt_text(std::uint32_t id);

    /// Log-probability of a prompt's token at `position`; not a number for the first.
    float prompt_logprob(std::uint32_t position) const;

private:
    bool ends_at(std::uint32_t n) const;

    std::uint64_t key_;
    std::string label_;
    std::uint32_t eos_after_;
    double eos_probability_;
    std::string reply_;
};

}  // namespace truffula::shard_sim
