#include "truffula/scheduler/policy.hpp"

#include <algorithm>
#include <compare>
#include <set>
#include <utility>
#include <vector>

namespace truffula::scheduler {
namespace {

using adapter::adapter_key;

class fifo_policy final : public policy {
public:
    void offer(adapter_key key, queue_place front, time_point fresh_until) override {
        if (key >= offers_.size()) offers_.resize(std::size_t{key} + 1);
        auto& o = offers_[key];
        // Taking the node out and putting it back allocates nothing.
        auto node = take(key);
        o = {front, fresh_until, place::fresh};
        put(fresh_, std::move(node), key);
        expiry_.insert({fresh_until, key});
    }

    void withdraw(adapter_key key) override {
        if (key < offers_.size()) take(key);
    }

    std::optional<adapter_key> next(time_point now, queue_place last) override {
        expire(now);
        for (const auto* fronts : {&fresh_, &stale_}) {
            if (!fronts->empty() && fronts->begin()->first <= last) {
                return fronts->begin()->second;
            }
        }
        return std::nullopt;
    }

    std::optional<adapter_key> oldest() const override {
        if (fresh_.empty() && stale_.empty()) return std::nullopt;
        if (fresh_.empty()) return stale_.begin()->second;
        if (stale_.empty()) return fresh_.begin()->second;
        return std::min(*fresh_.begin(), *stale_.begin()).second;
    }

private:
    enum class place : std::uint8_t { nowhere, fresh, stale };
    using front_set = std::set<std::pair<queue_place, adapter_key>>;

    struct offer_state {
        queue_place front;
        time_point fresh_until;
        place where = place::nowhere;
    };

    front_set::node_type take(adapter_key key) {
        auto& o = offers_[key];
        if (o.where == place::nowhere) return {};
        auto node = (o.where == place::fresh ? fresh_ : stale_).extract({o.front, key});
        if (o.where == place::fresh) expiry_.erase({o.fresh_until, key});
        o.where = place::nowhere;
        return node;
    }

    void put(front_set& to, front_set::node_type node, adapter_key key) {
        if (node.empty()) {
            to.insert({offers_[key].front, key});
        } else {
            node.value() = {offers_[key].front, key};
            to.insert(std::move(node));
        }
    }

    void expire(time_point now) {
        while (!expiry_.empty() && expiry_.begin()->first <= now) {
            const auto key = expiry_.begin()->second;
            auto node = take(key);
            offers_[key].where = place::stale;
            put(stale_, std::move(node), key);
        }
    }

    std::vector<offer_state> offers_;  // by key
    front_set fresh_;
    front_set stale_;
    std::set<std::pair<time_point, adapter_key>> expiry_;  // of the fresh
};

}  // namespace

std::unique_ptr<policy> make_fifo_policy() {
    return std::make_unique<fifo_policy>();
}

}  // namespace truffula::scheduler
