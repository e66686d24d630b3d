#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace truffula::batching {

/// When waiting requests may join the running batch (contract 12.3 C). Pure.
class join_rule {
public:
    join_rule(float waiting_served_ratio, std::size_t max_waiting_tokens)
        : ratio_(waiting_served_ratio), max_waiting_tokens_(max_waiting_tokens) {}

    /// The smallest batch worth its prefill, with `running` requests; none: any size.
    std::optional<std::size_t> min_size(std::size_t running) const {
        if (is_overdue()) return std::nullopt;
        return static_cast<std::size_t>(static_cast<float>(running) * ratio_);
    }

    /// Newcomers have waited for `max_waiting_tokens` steps.
    bool is_overdue() const { return steps_ >= max_waiting_tokens_; }

    void decoded() { ++steps_; }
    void joined() { steps_ = 0; }

private:
    float ratio_;
    std::size_t max_waiting_tokens_;
    std::size_t steps_ = 0;  // decodes since the last join
};

}  // namespace truffula::batching
