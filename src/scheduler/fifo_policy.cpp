#include "scheduler/front_heap.hpp"
#include "truffula/scheduler/policy.hpp"

#include <set>
#include <utility>
#include <vector>

namespace truffula::scheduler {
namespace {

using adapter::adapter_key;

constexpr auto no_end = time_point::max();

class fifo_policy final : public policy {
public:
    void offer(adapter_key key, queue_place front, time_point fresh_until) override {
        if (key >= offers_.size()) offers_.resize(std::size_t{key} + 1);
        auto& o = offers_[key];
        // The usual case, once for each request that is taken: only the front is another one.
        if (o.where == place::nowhere || o.fresh_until != fresh_until) {
            withdraw(key);
            o = {fresh_until, fresh_until <= now_ ? place::stale : place::fresh};
            if (o.where == place::fresh && fresh_until != no_end) {
                expiry_.insert({fresh_until, key});
            }
        }
        fronts_of(o.where).set(key, front);
    }

    void withdraw(adapter_key key) override {
        if (key >= offers_.size() || offers_[key].where == place::nowhere) return;
        auto& o = offers_[key];
        fronts_of(o.where).erase(key);
        o.where = place::nowhere;
    }

    std::optional<adapter_key> next(time_point now, queue_place last) override {
        expire(now);
        for (const auto* fronts : {&fresh_, &stale_}) {
            if (!fronts->empty() && fronts->top().place <= last) return fronts->top().key;
        }
        return std::nullopt;
    }

    std::optional<adapter_key> oldest() const override {
        if (fresh_.empty() && stale_.empty()) return std::nullopt;
        if (fresh_.empty()) return stale_.top().key;
        if (stale_.empty()) return fresh_.top().key;
        return (fresh_.top().place < stale_.top().place ? fresh_ : stale_).top().key;
    }

private:
    enum class place : std::uint8_t { nowhere, fresh, stale };

    struct offer_state {
        time_point fresh_until;
        place where = place::nowhere;
    };

    front_heap& fronts_of(place where) { return where == place::fresh ? fresh_ : stale_; }

    void expire(time_point now) {
        now_ = now;
        while (!expiry_.empty() && expiry_.begin()->first <= now) {
            const auto key = expiry_.begin()->second;
            expiry_.erase(expiry_.begin());
            auto& o = offers_[key];
            if (o.where != place::fresh || o.fresh_until > now) continue;
            stale_.set(key, fresh_.erase(key));
            o.where = place::stale;
        }
    }

    std::vector<offer_state> offers_;  // by key
    front_heap fresh_;
    front_heap stale_;
    time_point now_;  // at the last question
    // Of the fresh that have an end. Those withdrawn stay in it, for most are offered again.
    std::set<std::pair<time_point, adapter_key>> expiry_;
};

}  // namespace

std::unique_ptr<policy> make_fifo_policy() {
    return std::make_unique<fifo_policy>();
}

}  // namespace truffula::scheduler
