#include "truffula/scheduler/batch_cost.hpp"

#include <algorithm>

namespace truffula::scheduler {

void batch_cost::add(std::uint32_t input_tokens, std::uint32_t new_tokens) {
    ++size_;
    input_tokens_ += input_tokens;
    new_tokens_ += new_tokens;
    if (model_ == cost_model::padded) ++lengths_[input_tokens];
}

void batch_cost::remove(std::uint32_t input_tokens, std::uint32_t new_tokens) {
    --size_;
    input_tokens_ -= input_tokens;
    new_tokens_ -= new_tokens;
    if (model_ != cost_model::padded) return;
    const auto found = lengths_.find(input_tokens);
    if (--found->second == 0) lengths_.erase(found);
}

std::uint64_t batch_cost::prefill() const {
    if (model_ != cost_model::padded) return input_tokens_;
    return lengths_.empty() ? 0 : std::uint64_t{size_} * lengths_.rbegin()->first;
}

std::uint64_t batch_cost::prefill_with(std::uint32_t input_tokens) const {
    if (model_ != cost_model::padded) return input_tokens_ + input_tokens;
    const auto longest = lengths_.empty() ? 0 : lengths_.rbegin()->first;
    return std::uint64_t{size_ + 1} * std::max(longest, input_tokens);
}

std::uint64_t batch_cost::total_with(std::uint32_t input_tokens, std::uint32_t new_tokens) const {
    return prefill_with(input_tokens) + new_tokens_ + new_tokens;
}

}  // namespace truffula::scheduler
