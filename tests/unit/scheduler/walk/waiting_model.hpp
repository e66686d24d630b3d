#pragma once

#include "unit/scheduler/walk/random_requests.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace truffula::test {

/// The reference model of a walk: who waits, and what the rules of order (design section 5) say of
/// a batch that was taken out of them. Requests that wait for a proof are no part of the order.
class waiting_model {
public:
    struct one : walk_request {
        one() = default;
        explicit one(walk_request r) : walk_request(std::move(r)) {}

        /// By younger ones, while it was the oldest that could run; `fifo`.
        std::uint32_t times_passed = 0;
        std::optional<scheduler::time_point> passed_since;
        /// It cannot stand before this: one that stood there was the first of all; `fair`.
        scheduler::queue_place not_before;
    };

    explicit waiting_model(const scheduler::scheduler_settings& s) : settings_(s) {}

    void add(scheduler::request_id id, one w) { all_[id] = std::move(w); }
    bool remove(scheduler::request_id id) { return all_.erase(id) == 1; }
    std::size_t size() const { return all_.size(); }
    const std::map<scheduler::request_id, one>& all() const { return all_; }

    /// Whether one waits that `next_batch` may take for sure.
    bool has_candidate(const std::set<std::string>& ready) const {
        return std::ranges::any_of(
            all_, [&](const auto& w) { return is_candidate(w.second, ready); });
    }

    /// `next_batch` gave `batch`: its requests wait no more.
    ///
    /// \param ready the adapters that were ready.
    /// \param is_drained nothing ran, and the budgets were whole.
    /// \return what was known of each, in the order of `batch`.
    std::vector<one> take(
        const std::vector<scheduler::scheduled_entry>& batch,
        const std::set<std::string>& ready,
        bool is_drained,
        scheduler::time_point now) {
        std::set<scheduler::request_id> taken;
        for (const auto& e : batch) {
            const auto found = all_.find(e.what.id);
            expect(found != all_.end(), "a request that does not wait was taken");
            expect(found->second.generates(), "one that does not generate was taken");
            expect(ready.contains(found->second.adapter), "taken though its adapter is not ready");
            taken.insert(e.what.id);
        }
        largest_batch_ = std::max(largest_batch_, batch.size());
        check_lines(taken);
        check_bound(batch);
        if (is_drained) {
            expect(!batch.empty() || !has_candidate(ready), "nothing runs, and nobody is taken");
        }
        if (settings_.is_fair) {
            check_ranks(batch, ready, is_drained);
        } else {
            check_oldest(taken, ready, is_drained, now);
        }
        return extract(batch);
    }

    /// `next_pooled_batch` gave `batch`: the oldest, and of its kind those after it.
    std::vector<one> take_pooled(
        const std::vector<scheduler::scheduled_entry>& batch, const std::set<std::string>& ready) {
        if (batch.empty()) return {};
        std::set<scheduler::request_id> taken;
        for (const auto& e : batch) taken.insert(e.what.id);
        const auto kind = batch.front().what.what->kind;
        for (const auto& e : batch) {
            const auto found = all_.find(e.what.id);
            expect(found != all_.end(), "a request that does not wait was taken");
            expect(found->second.kind == kind && !found->second.generates(), "kinds are mixed");
            expect(ready.contains(found->second.adapter), "taken though its adapter is not ready");
        }
        for (const auto& [id, w] : all_) {
            if (id > *taken.rbegin()) break;
            if (w.generates() || w.needs_proof || !ready.contains(w.adapter)) continue;
            const bool is_behind = w.kind != kind && id > *taken.begin();
            expect(
                taken.contains(id) || is_behind, "a younger one that does not generate went first");
        }
        return extract(batch);
    }

private:
    static bool is_candidate(const one& w, const std::set<std::string>& ready) {
        return w.generates() && !w.needs_proof && ready.contains(w.adapter);
    }

    std::vector<one> extract(const std::vector<scheduler::scheduled_entry>& batch) {
        std::vector<one> known;
        for (const auto& e : batch) known.push_back(std::move(all_.extract(e.what.id).mapped()));
        return known;
    }

    /// Who leaves in order of arrival: requests of one adapter; where shares order them, those of
    /// one owner and class for it.
    bool is_same_line(const one& a, const one& b) const {
        if (a.adapter != b.adapter) return false;
        return !settings_.is_fair || (a.tenant == b.tenant && a.priority == b.priority);
    }

    /// Rule 1.
    void check_lines(const std::set<scheduler::request_id>& taken) const {
        for (const auto id : taken) {
            const auto& w = all_.at(id);
            if (w.needs_proof) continue;
            for (const auto& [other_id, other] : all_) {
                if (other_id >= id) break;
                if (!other.generates() || taken.contains(other_id)) continue;
                expect(!is_same_line(w, other), "a younger request of the same line went first");
            }
        }
    }

    /// Rule 3, as the state counts it: nobody is passed any more once the bound is reached.
    void check_bound(const std::vector<scheduler::scheduled_entry>& batch) const {
        for (const auto& e : batch) {
            expect(
                e.what.overtakes < settings_.max_overtakes + largest_batch_,
                "overtaken beyond the bound");
        }
    }

    /// Rule 3, as this model counts it, of the oldest request whose adapter is ready: it is in the
    /// batch, or was passed within its bound.
    void check_oldest(
        const std::set<scheduler::request_id>& taken,
        const std::set<std::string>& ready,
        bool is_drained,
        scheduler::time_point now) {
        bool has_unproven = false;  // which may be the one that the state counts instead
        for (auto& [id, w] : all_) {
            has_unproven = has_unproven || (w.generates() && w.needs_proof);
            if (!is_candidate(w, ready)) continue;
            if (taken.contains(id)) return;
            const auto younger =
                static_cast<std::uint32_t>(std::distance(taken.upper_bound(id), taken.end()));
            expect(
                !is_drained || younger > 0 || has_unproven,
                "nothing runs, and the oldest is not taken");
            if (younger == 0) return;
            expect(w.times_passed < settings_.max_overtakes, "passed more often than allowed");
            expect(
                !w.passed_since || now - *w.passed_since < settings_.max_overtake_wait,
                "passed for longer than allowed");
            if (has_unproven) return;
            w.times_passed += younger;
            if (!w.passed_since) w.passed_since = now;
            return;
        }
    }

    /// Where a request stands is seen when it is taken: whoever was there when another one went
    /// first of all, with nothing in its way, cannot have stood before that one.
    void check_ranks(
        const std::vector<scheduler::scheduled_entry>& batch,
        const std::set<std::string>& ready,
        bool is_drained) {
        for (std::size_t i = 0; i < batch.size(); ++i) {
            const auto place = batch[i].what.place();
            expect(i == 0 || batch[i - 1].what.place() < place, "taken in another order");
            expect(!(place < all_.at(batch[i].what.id).not_before), "not the first was taken");
        }
        if (!is_drained || batch.empty()) return;
        for (auto& [id, w] : all_) {
            if (!is_candidate(w, ready)) continue;
            w.not_before = std::max(w.not_before, batch.front().what.place());
        }
    }

    scheduler::scheduler_settings settings_;
    std::map<scheduler::request_id, one> all_;
    std::size_t largest_batch_ = 0;
};

}  // namespace truffula::test
