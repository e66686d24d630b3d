#include "truffula/scheduler/fair_shares.hpp"

#include <algorithm>
#include <cmath>

namespace truffula::scheduler {
namespace {

constexpr double output_cost = 2;  // of a token; a prompt's costs 1

double cost(std::uint32_t input, double output) {
    return static_cast<double>(input) + output_cost * output;
}

}  // namespace

share_ticket fair_shares::enter(
    const std::string& owner,
    const std::string& tenant,
    inference::priority priority,
    std::uint32_t input_tokens,
    std::uint32_t max_new_tokens) {
    if (accounts_.size() >= sweep_at_) forget_level_ones();
    const bool is_batch = priority == inference::priority::batch;
    auto& account = accounts_[(is_batch ? 'b' : 'i') + owner];
    if (!account) {
        account = std::make_shared<share_account>();
        const auto named = settings_.tenant_weights.find(tenant);
        if (named != settings_.tenant_weights.end()) account->weight = named->second;
        if (is_batch) account->weight *= settings_.batch_weight;
    }
    share_ticket t;
    t.account = account;
    t.input_tokens = input_tokens;
    t.expected_output = max_new_tokens;
    if (account->usual_output >= 0) {
        const auto usual = static_cast<std::uint32_t>(std::lround(account->usual_output));
        t.expected_output = std::min(max_new_tokens, std::max(usual, 1U));
    }
    account->finish =
        std::max(now_, account->finish) + cost(input_tokens, t.expected_output) / account->weight;
    t.rank = account->finish;
    return t;
}

void fair_shares::taken(const share_ticket& t) {
    now_ = std::max(now_, t.rank);
}

void fair_shares::left(const share_ticket& t) {
    if (!t.account) return;
    t.account->finish -= cost(t.input_tokens, t.expected_output) / t.account->weight;
}

void fair_shares::ended(const share_ticket& t, std::uint32_t generated_tokens) {
    if (!t.account) return;
    const auto generated = static_cast<double>(generated_tokens);
    auto& a = *t.account;
    a.finish += output_cost * (generated - t.expected_output) / a.weight;
    a.usual_output = a.usual_output < 0 ? generated : a.usual_output * 0.8 + generated * 0.2;
}

/// Who asks for nothing and is not ahead of the others is as good as a new one, but for its usual
/// output. Called when their number has doubled: cheap on the whole.
void fair_shares::forget_level_ones() {
    std::erase_if(accounts_, [this](const auto& one) {
        return one.second.use_count() == 1 && one.second->finish <= now_;
    });
    sweep_at_ = std::max<std::size_t>(64, accounts_.size() * 2);
}

}  // namespace truffula::scheduler
