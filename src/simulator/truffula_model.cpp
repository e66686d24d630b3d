// The router's own rules, driven as its engine drives them (src/batching/loop.cpp).
#include "simulator/router_model.hpp"
#include "truffula/config/load.hpp"
#include "truffula/scheduler/join_rule.hpp"
#include "truffula/scheduler/settings_of.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <utility>

namespace truffula::simulator {
namespace {

/// Errors come back by `take_failed` of the state: nobody listens here.
class silent_sink final : public scheduler::sink {
public:
    void fail(error) override {}
    bool abandoned() const noexcept override { return false; }
};

class truffula_model final : public router_model {
public:
    truffula_model(const workload& from, const config::settings& settings, const shard_costs& costs)
        : from_(from),
          prefill_budget_(settings.batching.max_batch_prefill_tokens),
          total_budget_(config::total_token_budget(settings, std::nullopt, true)),
          share_(static_cast<adapter::memory_share>(
              std::lround(costs.adapter_memory * adapter::whole_memory))),
          state_(scheduler::settings_of(settings), limits()),
          rule_(scheduler::join_settings_of(settings)) {
        for (std::uint32_t i = 1; i < from.adapters.size(); ++i) by_name_[from.adapters[i]] = i;
        refs_.resize(from.adapters.size() * from.tenants.size());
    }

    bool chooses_before_decode() const override { return false; }

    void submit(request_index request, time_point now) override {
        const auto& a = from_.arrivals[request];
        scheduler::entry e;
        e.id = request;
        e.what = request_of(a);
        e.adapter = ref_of(a);
        e.to = nobody_;
        e.created = now;
        state_.submit(std::move(e), now);
    }

    std::span<const request_index> first_batch(time_point now) override {
        return take({}, prefill_budget_, total_budget_, now);
    }

    std::span<const request_index> joining_batch(time_point now) override {
        taken_.clear();
        // With nothing to choose from, asking only tells the table which adapters are in use.
        if (state_.schedulable() == 0 && !in_use_changed_) return taken_;
        const auto used = std::min<std::uint64_t>(running_tokens_, total_budget_);
        const auto left = static_cast<std::uint32_t>(total_budget_ - used);
        return take(rule_.terms(running_), prefill_budget_, left, now);
    }

    /// As the router, where shards do not pad.
    std::span<const request_index> late_batch(
        std::span<const request_index> planned, time_point now) override {
        taken_.clear();
        std::uint64_t computed = 0;
        for (const auto r : planned) computed += from_.arrivals[r].input_tokens;
        if (running_tokens_ >= total_budget_ || computed >= prefill_budget_) return taken_;
        const auto left = static_cast<std::uint32_t>(total_budget_ - running_tokens_);
        return take({}, static_cast<std::uint32_t>(prefill_budget_ - computed), left, now);
    }

    void prefilled(std::uint64_t tokens, duration took, bool joined) override {
        if (joined) rule_.joined();
        rule_.prefilled(tokens, took);
    }
    void decoded(duration took) override { rule_.decoded(took); }

    void ended(request_index request, time_point) override {
        const auto& a = from_.arrivals[request];
        const auto share = std::exchange(shares_[request], {});
        state_.ended(a.input_tokens, a.output_tokens, share, a.output_tokens);
        running_tokens_ -= tokens_of(a);
        --running_;
        auto& key = running_by_key_[keys_[request]];
        if (--key > 0) return;
        in_use_.erase(std::ranges::lower_bound(in_use_, keys_[request]));
        in_use_changed_ = true;
    }

    bool is_runnable() const override { return state_.runnable(); }

    void due(time_point now, std::size_t limit, std::vector<adapter_call>& out) override {
        state_.expire(now);
        for (const auto& c : state_.due(now, limit)) {
            out.push_back({c.id, c.kind, by_name_.at(c.what.ids.front())});
        }
    }

    void finished(const adapter_call& call, time_point now) override {
        state_.finished(call.id, share_, now);
    }

    std::optional<time_point> next_deadline(time_point now) override {
        return state_.next_deadline(now);
    }

    std::vector<failure> take_failed() override {
        std::vector<failure> failed;
        for (auto& [e, why] : state_.take_failed()) {
            failed.push_back({static_cast<request_index>(e.id), std::move(why.detail)});
        }
        return failed;
    }

    std::size_t waiting() const override { return state_.waiting(); }

private:
    scheduler::shard_limits limits() const {
        scheduler::shard_limits l;
        l.prefill_token_budget = prefill_budget_;
        l.total_token_budget = total_budget_;
        return l;
    }

    static std::uint64_t tokens_of(const arrival& a) {
        return std::uint64_t{a.input_tokens} + a.output_tokens;
    }

    /// Requests of the same lengths share one object: nothing else of them matters here.
    std::shared_ptr<const inference::request> request_of(const arrival& a) {
        const auto key = (std::uint64_t{a.input_tokens} << 32U) | a.output_tokens;
        auto& known = (a.is_batch ? batch_requests_ : requests_)[key];
        if (!known) {
            auto made = std::make_shared<inference::request>();
            made->input_length = a.input_tokens;
            made->stopping.max_new_tokens = a.output_tokens;
            if (a.is_batch) made->priority = inference::priority::batch;
            known = std::move(made);
        }
        return known;
    }

    std::shared_ptr<const adapter::adapter_ref> ref_of(const arrival& a) {
        auto& known = refs_[std::size_t{a.adapter} * from_.tenants.size() + a.tenant];
        if (!known) {
            auto made = std::make_shared<adapter::adapter_ref>();
            if (a.adapter != 0) made->what.ids = {from_.adapters[a.adapter]};
            made->from = adapter::source::local;
            made->tenant = from_.tenants[a.tenant];
            known = std::move(made);
        }
        return known;
    }

    std::span<const request_index> take(
        const scheduler::join_terms& terms,
        std::uint32_t prefill_budget,
        std::uint32_t token_budget,
        time_point now) {
        taken_.clear();
        in_use_changed_ = false;
        for (auto& e : state_.next_batch(in_use_, terms, prefill_budget, token_budget, now)) {
            const auto request = static_cast<request_index>(e.what.id);
            taken_.push_back(request);
            note_running(request, e.key);
            shares_[request] = std::move(e.what.share);
        }
        return taken_;
    }

    void note_running(request_index request, adapter::adapter_key key) {
        if (request >= keys_.size()) {
            keys_.resize(from_.arrivals.size());
            shares_.resize(from_.arrivals.size());
        }
        keys_[request] = key;
        running_tokens_ += tokens_of(from_.arrivals[request]);
        ++running_;
        if (key >= running_by_key_.size()) running_by_key_.resize(std::size_t{key} + 1);
        if (running_by_key_[key]++ == 0)
            in_use_.insert(std::ranges::lower_bound(in_use_, key), key);
    }

    const workload& from_;
    std::uint32_t prefill_budget_;
    std::uint32_t total_budget_;
    adapter::memory_share share_;
    scheduler::scheduler_state state_;
    scheduler::join_rule rule_;
    std::shared_ptr<scheduler::sink> nobody_ = std::make_shared<silent_sink>();
    std::unordered_map<std::string, std::uint32_t> by_name_;
    std::unordered_map<std::uint64_t, std::shared_ptr<const inference::request>> requests_;
    std::unordered_map<std::uint64_t, std::shared_ptr<const inference::request>> batch_requests_;
    std::vector<std::shared_ptr<const adapter::adapter_ref>> refs_;  // by adapter and tenant

    std::vector<request_index> taken_;
    std::vector<adapter::adapter_key> keys_;       // by request, once it was taken
    std::vector<scheduler::share_ticket> shares_;  // the same
    std::vector<std::size_t> running_by_key_;
    std::vector<adapter::adapter_key> in_use_;  // sorted
    bool in_use_changed_ = false;
    std::size_t running_ = 0;
    std::uint64_t running_tokens_ = 0;
};

}  // namespace

std::unique_ptr<router_model> make_truffula_model(
    const workload& from, const config::settings& settings, const shard_costs& costs) {
    return std::make_unique<truffula_model>(from, settings, costs);
}

}  // namespace truffula::simulator
