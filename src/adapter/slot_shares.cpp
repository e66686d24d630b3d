#include "adapter/slot_shares.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace truffula::adapter {

slot_holder& slot_shares::of(const std::string& tenant) {
    static const std::string everybody;
    auto& found = holders_[is_shared_ ? tenant : everybody];
    if (!found) {
        found = std::make_unique<slot_holder>();
        if (is_shared_) found->tenant = tenant;
        const auto weight = weights_.find(tenant);
        if (is_shared_ && weight != weights_.end()) found->weight = weight->second;
    }
    return *found;
}

void slot_shares::tidy(slot_holder& h) {
    if (h.adapters > 0) return;
    const auto name = h.tenant;
    holders_.erase(name);
}

slot_shares::turn slot_shares::first_turn(const slot_holder& h) {
    return {h.level_wanted(1), *h.wishes.begin()};
}

template <class Change>
void slot_shares::change(slot_holder& h, Change how) {
    if (!h.wishes.empty()) first_turns_.erase(first_turn(h));
    how();
    if (!h.wishes.empty()) first_turns_.emplace(first_turn(h), &h);
}

void slot_shares::want(slot_holder& h, const wish& w) {
    if (h.wishes.contains(w)) return;
    change(h, [&] { h.wishes.insert(w); });
}

void slot_shares::unwant(slot_holder& h, const wish& w) {
    if (!h.wishes.contains(w)) return;
    change(h, [&] { h.wishes.erase(w); });
}

void slot_shares::take_slot(slot_holder& h, memory_share memory) {
    h.memory += memory;
    change(h, [&] { ++h.slots; });
}

void slot_shares::give_slot(slot_holder& h, memory_share memory) {
    h.memory -= memory;
    change(h, [&] { --h.slots; });
}

void slot_shares::in_order(std::size_t most, std::vector<adapter_key>& to) const {
    struct later_turn {
        turn at;
        std::set<wish>::const_iterator next;
        const slot_holder* of;
        std::size_t number;
        bool operator>(const later_turn& other) const { return at > other.at; }
    };
    to.clear();
    std::vector<later_turn> later;  // of those who had their first; a heap
    auto first = first_turns_.begin();
    while (to.size() < most) {
        const bool is_first =
            first != first_turns_.end() && (later.empty() || first->first < later.front().at);
        later_turn now{};
        if (is_first) {
            const auto* of = first->second;
            now = {first->first, of->wishes.begin(), of, 1};
            ++first;
        } else {
            if (later.empty()) return;
            std::ranges::pop_heap(later, std::greater<>{});
            now = later.back();
            later.pop_back();
        }
        to.push_back(std::get<adapter_key>(*now.next));
        if (++now.next == now.of->wishes.end()) continue;
        now.at = {now.of->level_wanted(++now.number), *now.next};
        later.push_back(now);
        std::ranges::push_heap(later, std::greater<>{});
    }
}

}  // namespace truffula::adapter
