#pragma once

#include "truffula/inference/request.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

namespace truffula::scheduler {

struct share_settings {
    std::map<std::string, double> tenant_weights;  ///< Above 0; a tenant not named has 1.
    double batch_weight = 0.05;                    ///< Of the class `batch`, against `interactive`.
};

/// Requests of one owner, or of several.
struct share_usage {
    std::size_t waiting = 0;                 ///< In a queue.
    std::size_t open = 0;                    ///< Those of them that may be scheduled.
    std::chrono::microseconds open_since{};  ///< Sum over the open ones.
    std::size_t running = 0;                 ///< In a batch.

    share_usage& operator+=(const share_usage& other);
    share_usage& operator-=(const share_usage& other);
};

/// What one owner of a share (a tenant's class of requests) has had.
struct share_account {
    double weight = 1;
    std::uint64_t part = 0;    ///< The weight in millionths, one at least: sums of it are exact.
    double finish = 0;         ///< Virtual time at which all that it has asked for is served.
    double last_rank = 0;      ///< Of the request that took its place last.
    double usual_output = -1;  ///< Tokens; below 0: not known.

    share_usage now;
    std::chrono::steady_clock::time_point last_seen;  ///< Its last request came or went.
    bool is_active = false;  ///< It has requests, or had one a short while ago.
    bool is_above = false;   ///< It runs more than its share of all that runs.
};

/// A request's place among all shares.
struct share_ticket {
    std::shared_ptr<share_account> account;  ///< None: the policy knows no shares.
    double rank = 0;                         ///< Virtual time at which it starts; least first.
    bool is_placed = false;                  ///< Its cost counts; else the rank is a guess.
    bool is_batch = false;                   ///< Of the class `batch`.
    std::uint32_t input_tokens = 0;
    std::uint32_t expected_output = 0;
};

/// Shares the shards among owners by the tokens they cost: virtual time in the manner of
/// start-time fair queueing. A prompt token costs 1, an answer's 2, divided by the owner's
/// weight. An owner that was idle starts level with those now served, before the next request of
/// whoever has a backlog; one that floods only fills its own share.
///
/// It also tells who has more than its share of what runs: an owner is above it if its part of the
/// running requests is larger than its part of the weights of all active owners. Pure.
class fair_shares {
public:
    /// How long an owner without requests counts as active: its next one finds its share kept.
    static constexpr std::chrono::seconds stays_active{60};

    /// So many of them at most, those that came last: names of owners are the clients' to make up.
    static constexpr std::size_t most_resting = 1000;

    explicit fair_shares(share_settings s) : settings_(std::move(s)) {}

    /// A request of `owner` comes; `tenant` names its weight.
    share_ticket enter(
        const std::string& owner,
        const std::string& tenant,
        inference::priority priority,
        std::uint32_t input_tokens,
        std::uint32_t max_new_tokens);

    /// The request may be scheduled from now on: it takes its place behind those of its owner that
    /// did before. No earlier: virtual time goes on without those whose adapter is not ready, and
    /// whoever has many of them would come back with places before all others.
    void place(share_ticket& t);

    /// It may not be scheduled any more, for now: it costs nothing, and takes another place then.
    void displace(share_ticket& t);

    /// It is `now`: owners that have been idle for long are active no more.
    void pass_time(std::chrono::steady_clock::time_point now);

    /// The request stands in a queue, and no more.
    void queued(const share_ticket& t);
    void unqueued(const share_ticket& t);

    /// The queued request may be scheduled, since so long, and no more.
    void opened(const share_ticket& t, std::chrono::microseconds since);
    void closed(const share_ticket& t, std::chrono::microseconds since);

    /// The request was taken into a batch.
    void taken(const share_ticket& t);

    /// It was taken into a batch that was never sent.
    void returned(const share_ticket& t);

    /// The request left its queue unserved: it cost nothing.
    void left(const share_ticket& t);

    /// The request's answer has ended: what it really cost counts, and what was expected does not.
    void ended(const share_ticket& t, std::uint32_t generated_tokens);

    /// The requests of all owners that are not above their share.
    const share_usage& within() const { return within_; }

    /// The requests of all owners. Looks at each of them.
    share_usage all() const;

    /// Owners that are remembered: those with requests, or ahead of the others.
    std::size_t accounts() const { return accounts_.size(); }

private:
    double rank_of(const share_ticket& t) const;
    template <class Change>
    void change(share_account& a, Change how);
    void note_seen(share_account& a);
    void retire_first();
    void forget_level_ones();

    share_settings settings_;
    double now_ = 0;         // virtual
    double usual_cost_ = 0;  // of a request
    std::chrono::steady_clock::time_point clock_;
    share_usage within_;
    std::size_t running_ = 0;         // of all owners
    std::uint64_t active_parts_ = 0;  // the same, of the active ones
    std::set<std::pair<std::chrono::steady_clock::time_point, share_account*>> resting_;
    std::unordered_map<std::string, std::shared_ptr<share_account>> accounts_;
    std::string name_;  // of `enter`: kept for its memory
    std::size_t sweep_at_ = 64;
};

}  // namespace truffula::scheduler
