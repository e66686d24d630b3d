#pragma once

#include "truffula/adapter/adapter_table.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

namespace truffula::adapter {

/// An adapter that waits for a slot: the rank of its first waiter, that one's age, its key.
using wish = std::tuple<double, time_point, adapter_key>;

/// A tenant, as far as it has adapters.
struct slot_holder {
    std::string tenant;
    double weight = 1;
    std::size_t adapters = 0;  ///< That are counted as its own, on the shards or not.
    std::size_t slots = 0;     ///< Of those: on the shards, and not leaving for another tenant.
    std::uint64_t memory = 0;  ///< That these take.
    std::set<wish> wishes;     ///< Of those: waiting for a slot.

    /// Slots for its weight, with `more`.
    double level(std::size_t more = 0) const { return static_cast<double>(slots + more) / weight; }

    /// The same of those it has not got: the first one is everybody's due.
    double level_wanted(std::size_t more) const { return slots + more < 2 ? 0 : level(more); }
};

/// Shares the slots of adapters among tenants: who has more gives to who has fewer, and never the
/// other way round. With one tenant, or without sharing, all are one holder. Pure.
class slot_shares {
public:
    /// How long an adapter is kept for its holder after it used it last.
    static constexpr std::chrono::seconds keeps{60};

    slot_shares(bool is_shared, std::map<std::string, double> tenant_weights)
        : is_shared_(is_shared), weights_(std::move(tenant_weights)) {}

    /// The holder for `tenant`. One that gets no adapter is to be given to `tidy`.
    slot_holder& of(const std::string& tenant);

    /// Forgets a holder without adapters: names of tenants are the clients' to make up.
    void tidy(slot_holder& h);

    /// Both may be said again.
    void want(slot_holder& h, const wish& w);
    void unwant(slot_holder& h, const wish& w);

    /// An adapter with `memory` has a slot now, or gives it up.
    void take_slot(slot_holder& h, memory_share memory);
    void give_slot(slot_holder& h, memory_share memory);

    /// Adapters that wait for a slot, at most `most`, into `to`: the tenant goes first that then
    /// has fewest slots for its weight, among its adapters and among equals the least wish. Costs
    /// nothing for those who do not get their turn.
    void in_order(std::size_t most, std::vector<adapter_key>& to) const;

private:
    /// When a wish has its turn: at which level of its holder, and before which others.
    using turn = std::pair<double, wish>;

    static turn first_turn(const slot_holder& h);
    template <class Change>
    void change(slot_holder& h, Change how);

    bool is_shared_;
    std::map<std::string, double> weights_;
    std::unordered_map<std::string, std::unique_ptr<slot_holder>> holders_;
    std::map<turn, const slot_holder*> first_turns_;  // of all that have wishes
};

}  // namespace truffula::adapter
