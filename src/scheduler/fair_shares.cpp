#include "truffula/scheduler/fair_shares.hpp"

#include <algorithm>
#include <cmath>

namespace truffula::scheduler {
namespace {

constexpr double output_cost = 2;  // of a token; a prompt's costs 1

/// So many requests of the usual cost that come close together do not yet stand behind each other:
/// those of an owner that asks for little go before any backlog, which is longer.
constexpr double credit = 4;

constexpr double memory = 0.99;  // of the usual cost, per request

double cost(std::uint32_t input, double output) {
    return static_cast<double>(input) + output_cost * output;
}

}  // namespace

share_usage& share_usage::operator+=(const share_usage& other) {
    waiting += other.waiting;
    open += other.open;
    open_since += other.open_since;
    running += other.running;
    return *this;
}

share_usage& share_usage::operator-=(const share_usage& other) {
    waiting -= other.waiting;
    open -= other.open;
    open_since -= other.open_since;
    running -= other.running;
    return *this;
}

share_ticket fair_shares::enter(
    const std::string& owner,
    const std::string& tenant,
    inference::priority priority,
    std::uint32_t input_tokens,
    std::uint32_t max_new_tokens) {
    if (accounts_.size() >= sweep_at_) forget_level_ones();
    const bool is_batch = priority == inference::priority::batch;
    name_.assign(1, is_batch ? 'b' : 'i').append(owner);
    auto& account = accounts_[name_];
    if (!account) {
        account = std::make_shared<share_account>();
        const auto named = settings_.tenant_weights.find(tenant);
        if (named != settings_.tenant_weights.end()) account->weight = named->second;
        if (is_batch) account->weight *= settings_.batch_weight;
        account->part =
            static_cast<std::uint64_t>(std::max(1LL, std::llround(account->weight * 1e6)));
    }
    share_ticket t;
    t.account = account;
    t.input_tokens = input_tokens;
    t.expected_output = max_new_tokens;
    if (account->usual_output >= 0) {
        const auto usual = static_cast<std::uint32_t>(std::lround(account->usual_output));
        t.expected_output = std::min(max_new_tokens, std::max(usual, 1U));
    }
    t.is_batch = is_batch;
    const auto price = cost(input_tokens, t.expected_output);
    usual_cost_ = usual_cost_ == 0 ? price : usual_cost_ * memory + price * (1 - memory);
    t.rank = rank_of(t);
    return t;
}

/// What can wait stands where its share has paid for it, all else where it begins to.
double fair_shares::rank_of(const share_ticket& t) const {
    const auto& a = *t.account;
    if (!t.is_batch) return std::max(now_, a.finish - credit * usual_cost_ / a.weight);
    return std::max(now_, a.finish) + cost(t.input_tokens, t.expected_output) / a.weight;
}

void fair_shares::place(share_ticket& t) {
    if (!t.account || std::exchange(t.is_placed, true)) return;
    auto& a = *t.account;
    t.rank = rank_of(t);
    // What answers really cost corrects `finish`: an owner's requests stay in order all the same.
    if (a.now.open > 0) t.rank = std::max(t.rank, a.last_rank);
    a.last_rank = t.rank;
    a.finish = std::max(now_, a.finish) + cost(t.input_tokens, t.expected_output) / a.weight;
}

void fair_shares::displace(share_ticket& t) {
    left(t);
    t.is_placed = false;
}

void fair_shares::pass_time(std::chrono::steady_clock::time_point now) {
    clock_ = now;
    while (!resting_.empty() && resting_.begin()->first + stays_active <= now) retire_first();
}

void fair_shares::retire_first() {
    auto& a = *resting_.begin()->second;
    resting_.erase(resting_.begin());
    a.is_active = false;
    active_parts_ -= a.part;
}

/// Changes what `a` has, and with it the sum over those within their share. Whether it is one of
/// them is looked at here only: whoever floods changes all the time.
template <class Change>
void fair_shares::change(share_account& a, Change how) {
    if (!a.is_above) within_ -= a.now;
    running_ -= a.now.running;
    how(a.now);
    running_ += a.now.running;
    const auto part_of = [](std::uint64_t running, std::uint64_t parts) {
        return static_cast<double>(running) * static_cast<double>(parts);
    };
    a.is_above = part_of(a.now.running, active_parts_) > part_of(running_, a.part);
    if (!a.is_above) within_ += a.now;
}

void fair_shares::note_seen(share_account& a) {
    if (!std::exchange(a.is_active, true)) active_parts_ += a.part;
    resting_.erase({a.last_seen, &a});
    a.last_seen = clock_;
    if (a.now.waiting == 0 && a.now.running == 0) resting_.insert({clock_, &a});
    if (resting_.size() > most_resting) retire_first();
}

void fair_shares::queued(const share_ticket& t) {
    if (!t.account) return;
    change(*t.account, [](share_usage& u) { ++u.waiting; });
    note_seen(*t.account);
}

void fair_shares::unqueued(const share_ticket& t) {
    if (!t.account) return;
    change(*t.account, [](share_usage& u) { --u.waiting; });
    note_seen(*t.account);
}

void fair_shares::opened(const share_ticket& t, std::chrono::microseconds since) {
    if (!t.account) return;
    change(*t.account, [since](share_usage& u) {
        ++u.open;
        u.open_since += since;
    });
}

void fair_shares::closed(const share_ticket& t, std::chrono::microseconds since) {
    if (!t.account) return;
    change(*t.account, [since](share_usage& u) {
        --u.open;
        u.open_since -= since;
    });
}

void fair_shares::taken(const share_ticket& t) {
    if (!t.account) return;
    now_ = std::max(now_, t.rank);
    change(*t.account, [](share_usage& u) { ++u.running; });
    note_seen(*t.account);
}

void fair_shares::returned(const share_ticket& t) {
    if (!t.account) return;
    change(*t.account, [](share_usage& u) { --u.running; });
    note_seen(*t.account);
}

void fair_shares::left(const share_ticket& t) {
    if (!t.account || !t.is_placed) return;
    t.account->finish -= cost(t.input_tokens, t.expected_output) / t.account->weight;
}

void fair_shares::ended(const share_ticket& t, std::uint32_t generated_tokens) {
    if (!t.account) return;
    returned(t);
    const auto generated = static_cast<double>(generated_tokens);
    auto& a = *t.account;
    a.finish += output_cost * (generated - t.expected_output) / a.weight;
    a.usual_output = a.usual_output < 0 ? generated : a.usual_output * 0.8 + generated * 0.2;
}

share_usage fair_shares::all() const {
    share_usage sum;
    for (const auto& [name, account] : accounts_) sum += account->now;
    return sum;
}

/// Who is not active and not ahead of the others is as good as a new one, but for its usual output.
/// Called when their number has doubled: cheap on the whole.
void fair_shares::forget_level_ones() {
    std::erase_if(accounts_, [this](const auto& one) {
        const auto& a = *one.second;
        if (a.is_active || one.second.use_count() > 1) return false;  // asked of again, perhaps
        return a.finish - credit * usual_cost_ / a.weight <= now_;
    });
    sweep_at_ = std::max<std::size_t>(64, accounts_.size() * 2);
}

}  // namespace truffula::scheduler
