#pragma once

#include "truffula/inference/request.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

namespace truffula::scheduler {

struct share_settings {
    std::map<std::string, double> tenant_weights;  ///< Above 0; a tenant not named has 1.
    double batch_weight = 0.05;                    ///< Of the class `batch`, against `interactive`.
};

/// What one owner of a share (a tenant's class of requests) has had.
struct share_account {
    double weight = 1;
    double finish = 0;         ///< Virtual time at which all that it has asked for is served.
    double usual_output = -1;  ///< Tokens; below 0: not known.
};

/// A request's place among all shares.
struct share_ticket {
    std::shared_ptr<share_account> account;  ///< None: the policy knows no shares.
    double rank = 0;                         ///< Virtual time at which it is served; least first.
    std::uint32_t input_tokens = 0;
    std::uint32_t expected_output = 0;
};

/// Shares the shards among owners by the tokens they cost: virtual time in the manner of
/// self-clocked fair queueing. A prompt token costs 1, an answer's 2, divided by the owner's
/// weight. An owner that was idle starts level with those now served; one that floods only fills
/// its own share. Pure.
class fair_shares {
public:
    explicit fair_shares(share_settings s) : settings_(std::move(s)) {}

    /// A request of `owner` queues; `tenant` names its weight.
    share_ticket enter(
        const std::string& owner,
        const std::string& tenant,
        inference::priority priority,
        std::uint32_t input_tokens,
        std::uint32_t max_new_tokens);

    /// The request was taken into a batch.
    void taken(const share_ticket& t);

    /// The request left its queue unserved: it cost nothing.
    void left(const share_ticket& t);

    /// The request's answer has ended: what it really cost counts, and what was expected does not.
    void ended(const share_ticket& t, std::uint32_t generated_tokens);

    /// Owners that are remembered: those with requests, or ahead of the others.
    std::size_t accounts() const { return accounts_.size(); }

private:
    void forget_level_ones();

    share_settings settings_;
    double now_ = 0;  // virtual
    std::unordered_map<std::string, std::shared_ptr<share_account>> accounts_;
    std::size_t sweep_at_ = 64;
};

}  // namespace truffula::scheduler
