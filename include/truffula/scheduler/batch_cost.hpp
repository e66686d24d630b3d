#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

namespace truffula::scheduler {

/// What a request costs, by the kind of shard (design section 5).
enum class cost_model : std::uint8_t {
    plain,   ///< Sum of prompt and new tokens.
    padded,  ///< Requests times the longest prompt, plus the sum of new tokens.
    blocks,  ///< Blocks of the allocator; the total budget is theirs to keep.
};

/// The tokens that a set of requests occupies. Plain arithmetic, in 64 bits.
class batch_cost {
public:
    explicit batch_cost(cost_model model) : model_(model) {}

    void add(std::uint32_t input_tokens, std::uint32_t new_tokens);
    void remove(std::uint32_t input_tokens, std::uint32_t new_tokens);

    /// Tokens of the prefill: what the prefill budget limits.
    std::uint64_t prefill() const;

    /// Tokens in all: what the total budget limits.
    std::uint64_t total() const { return prefill() + new_tokens_; }

    /// `total()` of this set with one more request.
    std::uint64_t total_with(std::uint32_t input_tokens, std::uint32_t new_tokens) const;

    /// `prefill()` of this set with one more request.
    std::uint64_t prefill_with(std::uint32_t input_tokens) const;

    std::size_t size() const { return size_; }
    cost_model model() const { return model_; }

private:
    cost_model model_;
    std::size_t size_ = 0;
    std::uint64_t input_tokens_ = 0;
    std::uint64_t new_tokens_ = 0;
    std::map<std::uint32_t, std::size_t> lengths_;  // padded only: the longest may leave
};

}  // namespace truffula::scheduler
