// LoRAX's rules, its faults included: what a change to Truffula's rules is measured against.
#include "simulator/router_model.hpp"
#include "truffula/config/load.hpp"

#include <algorithm>
#include <deque>
#include <utility>

namespace truffula::simulator {
namespace {

constexpr float default_waiting_served_ratio = 0.3F;

enum class status : std::uint8_t { downloading, downloaded, ready };

struct adapter_queue {
    std::deque<request_index> entries;
    status is = status::downloading;
    bool is_known = false;    // it has a queue: its download was asked for
    bool has_cost = false;    // its download has ended
    bool is_tracked = false;  // pending or active
    std::size_t running = 0;
    time_point activated;
};

class lorax_model final : public router_model {
public:
    lorax_model(const workload& from, const config::settings& settings, const shard_costs& costs)
        : from_(from),
          settings_(settings),
          total_budget_(config::total_token_budget(settings, std::nullopt, true)),
          cycle_time_(std::chrono::seconds{settings.adapters.adapter_cycle_time_s}),
          waiting_served_ratio_(
              settings.batching.waiting_served_ratio.value_or(default_waiting_served_ratio)),
          adapter_memory_(costs.adapter_memory),
          queues_(from.adapters.size()) {}

    bool chooses_before_decode() const override { return true; }

    void submit(request_index request, time_point) override {
        const auto& a = from_.arrivals[request];
        const auto tokens = std::uint64_t{a.input_tokens} + a.output_tokens;
        if (a.input_tokens > settings_.batching.max_batch_prefill_tokens ||
            tokens > total_budget_) {
            // LoRAX would let it block its queue for ever; no simulation would end.
            failed_.push_back({request, "does not fit the token budgets"});
            return;
        }
        auto& queue = queues_[a.adapter];
        if (!queue.is_known) {
            queue.is_known = true;
            commands_.push_back({0, adapter::call_kind::download, a.adapter});
        }
        if (!queue.is_tracked) {
            queue.is_tracked = true;
            pending_.push_back(a.adapter);
        }
        queue.entries.push_back(request);
        ++waiting_;
        is_notified_ = true;
    }

    std::span<const request_index> first_batch(time_point now) override {
        is_notified_ = false;
        waiting_tokens_ = 1;
        return next_batch(std::nullopt, total_budget_, now);
    }

    std::span<const request_index> joining_batch(time_point now) override {
        std::optional<std::size_t> min_size;
        if (waiting_tokens_ < settings_.batching.max_waiting_tokens) {
            min_size =
                static_cast<std::size_t>(static_cast<float>(running_) * waiting_served_ratio_);
        }
        const auto left = running_tokens_ < total_budget_ ? total_budget_ - running_tokens_ : 0;
        return next_batch(min_size, left, now);
    }

    /// It chooses right before each Decode: nobody is late.
    std::span<const request_index> late_batch(std::span<const request_index>, time_point) override {
        return {};
    }

    void prefilled(std::uint64_t, duration, bool joined) override {
        if (joined) waiting_tokens_ = 1;
    }
    void decoded(duration) override { ++waiting_tokens_; }

    void ended(request_index request, time_point) override {
        const auto& a = from_.arrivals[request];
        running_tokens_ -= std::uint64_t{a.input_tokens} + a.output_tokens;
        --running_;
        --queues_[a.adapter].running;
    }

    bool is_runnable() const override { return is_notified_; }

    /// One command at a time, in the order they were issued.
    void due(time_point, std::size_t, std::vector<adapter_call>& out) override {
        if (is_calling_ || commands_.empty()) return;
        is_calling_ = true;
        auto call = commands_.front();
        commands_.pop_front();
        call.id = next_call_++;
        out.push_back(call);
    }

    void finished(const adapter_call& call, time_point) override {
        is_calling_ = false;
        auto& queue = queues_[call.adapter];
        queue.has_cost = true;
        queue.is = call.kind == adapter::call_kind::load ? status::ready : status::downloaded;
        is_notified_ = true;
    }

    std::optional<time_point> next_deadline(time_point) override { return std::nullopt; }
    std::vector<failure> take_failed() override { return std::exchange(failed_, {}); }
    std::size_t waiting() const override { return waiting_; }

private:
    std::span<const request_index> next_batch(
        std::optional<std::size_t> min_size, std::uint64_t token_budget, time_point now) {
        taken_.clear();
        // All that waits counts, also what cannot run yet.
        if (waiting_ == 0 || token_budget == 0 || (min_size && waiting_ < *min_size)) return taken_;
        update_adapters(now);
        std::uint64_t prefill = 0;
        std::uint64_t total = 0;
        while (const auto adapter = oldest_active(now)) {
            auto& entries = queues_[*adapter].entries;
            const auto& a = from_.arrivals[entries.front()];
            prefill += a.input_tokens;
            total += std::uint64_t{a.input_tokens} + a.output_tokens;
            const bool fits =
                prefill <= settings_.batching.max_batch_prefill_tokens && total <= token_budget;
            if (!fits) break;
            taken_.push_back(entries.front());
            entries.pop_front();
        }
        // The same minimum again, after forming: the batch is thrown back.
        if (min_size && taken_.size() < *min_size) {
            for (auto at = taken_.rbegin(); at != taken_.rend(); ++at) {
                queues_[from_.arrivals[*at].adapter].entries.push_front(*at);
            }
            taken_.clear();
            return taken_;
        }
        for (const auto request : taken_) {
            const auto& a = from_.arrivals[request];
            running_tokens_ += std::uint64_t{a.input_tokens} + a.output_tokens;
            ++running_;
            ++queues_[a.adapter].running;
            --waiting_;
        }
        return taken_;
    }

    std::optional<std::uint32_t> oldest_active(time_point now) const {
        std::optional<std::uint32_t> oldest;
        std::optional<std::uint32_t> oldest_within_cycle;
        const auto is_older = [this](std::uint32_t one, const std::optional<std::uint32_t>& than) {
            return !than || queues_[one].entries.front() < queues_[*than].entries.front();
        };
        for (const auto adapter : active_) {
            const auto& queue = queues_[adapter];
            if (queue.entries.empty() || queue.is != status::ready) continue;
            if (is_older(adapter, oldest)) oldest = adapter;
            const bool is_fresh = now - queue.activated < cycle_time_;
            if (is_fresh && is_older(adapter, oldest_within_cycle)) oldest_within_cycle = adapter;
        }
        return oldest_within_cycle ? oldest_within_cycle : oldest;
    }

    /// The exchange of adapters, as LoRAX does it each time it forms a batch.
    void update_adapters(time_point now) {
        // Idle ones leave while others are pending, however many slots are free.
        std::size_t leaving = 0;
        std::erase_if(active_, [&](std::uint32_t adapter) {
            auto& queue = queues_[adapter];
            if (queue.running > 0 || !queue.entries.empty() || pending_.size() <= leaving) {
                return false;
            }
            ++leaving;
            queue.is_tracked = false;
            offload(adapter);
            return true;
        });
        // The one that has been active longest goes to the end of the line after its cycle time.
        if (!active_.empty() && !pending_.empty()) {
            const auto front = active_.front();
            const auto& queue = queues_[front];
            if (queue.running == 0 && now - queue.activated > cycle_time_) {
                active_.pop_front();
                pending_.push_back(front);
                offload(front);
            }
        }
        while (active_.size() < settings_.adapters.max_active_adapters && !pending_.empty()) {
            const auto next = pending_.front();
            auto& queue = queues_[next];
            const auto memory = memory_of(next);
            if (!queue.has_cost || memory > free_memory_) break;
            pending_.pop_front();
            active_.push_back(next);
            queue.activated = now;
            free_memory_ -= memory;
            commands_.push_back({0, adapter::call_kind::load, next});
        }
    }

    /// LoRAX exchanges the base model like an adapter, but it takes no memory.
    double memory_of(std::uint32_t adapter) const { return adapter == 0 ? 0 : adapter_memory_; }

    void offload(std::uint32_t adapter) {
        free_memory_ += memory_of(adapter);
        commands_.push_back({0, adapter::call_kind::offload, adapter});
    }

    const workload& from_;
    const config::settings& settings_;
    std::uint64_t total_budget_;
    duration cycle_time_;
    float waiting_served_ratio_;
    double adapter_memory_;
    double free_memory_ = 1.0;
    std::vector<adapter_queue> queues_;  // by adapter
    std::deque<std::uint32_t> pending_;
    std::deque<std::uint32_t> active_;
    std::deque<adapter_call> commands_;
    std::uint64_t next_call_ = 1;
    bool is_calling_ = false;
    bool is_notified_ = false;

    std::vector<request_index> taken_;
    std::vector<failure> failed_;
    std::size_t waiting_ = 0;
    std::size_t running_ = 0;
    std::size_t waiting_tokens_ = 1;  // decodes since the last join, and one
    std::uint64_t running_tokens_ = 0;
};

}  // namespace

std::unique_ptr<router_model> make_lorax_model(
    const workload& from, const config::settings& settings, const shard_costs& costs) {
    return std::make_unique<lorax_model>(from, settings, costs);
}

}  // namespace truffula::simulator
