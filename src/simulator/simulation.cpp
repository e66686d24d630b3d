#include "simulator/simulation.hpp"

#include "simulator/modelled_shards.hpp"
#include "simulator/residency.hpp"

#include <algorithm>
#include <queue>
#include <utility>

namespace truffula::simulator {
namespace {

constexpr auto never = modelled_shards::never;
constexpr auto begin = time_point{std::chrono::hours{1}};  // times before it can be told, too
constexpr std::size_t calls_at_once = 64;
constexpr std::size_t progress_every = 1U << 14U;

/// Events in the order of time: arrivals, the step under way, adapter calls, deadlines. One step
/// is under way at a time, as in the router's batching loop.
class simulation {
public:
    simulation(
        const workload& from,
        router_model& router,
        const shard_costs& costs,
        const engine_options& options)
        : from_(from),
          router_(router),
          options_(options),
          shards_(costs),
          resident_(from.adapters.size()) {
        out_.requests.resize(from.arrivals.size());
    }

    outcome run(const std::function<void(double)>& progress) {
        for (std::size_t events = 1; handle_next(); ++events) {
            settle();
            if (progress && events % progress_every == 0) {
                progress(static_cast<double>(ended_) / static_cast<double>(from_.arrivals.size()));
            }
        }
        fail_stuck();
        out_.residences = resident_.finish(since_start());
        out_.states.finish(since_start());
        return std::move(out_);
    }

private:
    enum class step : std::uint8_t { none, prefill, decode };

    /// Requests that got their last token at the same time.
    struct cohort {
        std::uint32_t requests = 0;
        time_point last_token;
    };

    // What happens next. At the same time calls come first: what they free can be used.
    bool handle_next() {
        if (ended_ == from_.arrivals.size()) return false;
        const auto arrival = next_arrival_ < from_.arrivals.size()
                                 ? begin + from_.arrivals[next_arrival_].at
                                 : never;
        const auto call = shards_.next_end();
        const auto next = std::min({arrival, call, step_end_});
        const auto deadline = router_.next_deadline(now_).value_or(never);
        if (next == never && deadline == never) return false;
        if (deadline < next) {
            now_ = deadline;
            is_changed_ = true;
        } else if (call == next) {
            now_ = next;
            finish_call();
        } else if (arrival == next) {
            now_ = next;
            arrive();
        } else {
            now_ = next;
            finish_step();
        }
        return true;
    }

    void arrive() {
        router_.submit(static_cast<request_index>(next_arrival_++), now_);
        is_changed_ = true;
    }

    void finish_call() {
        const auto call = shards_.take_ended();
        if (call.kind == adapter::call_kind::load) resident_.loaded(call.adapter, since_start());
        router_.finished(call, now_);
        is_changed_ = true;
    }

    void finish_step() {
        step_end_ = never;
        if (std::exchange(step_, step::none) == step::prefill) {
            finish_prefill();
        } else {
            finish_decode();
        }
    }

    void finish_prefill() {
        const auto requests = std::exchange(prefilling_, {});
        const auto before = running_;
        const bool joined = before > 0;
        std::uint64_t tokens = 0;
        for (const auto r : requests) {
            out_.requests[r].first_token = since_start();
            tokens += from_.arrivals[r].input_tokens;
            const auto left = std::max(from_.arrivals[r].output_tokens, 1U) - 1;
            if (left == 0) {
                end(r);
                continue;
            }
            ends_.push({steps_ + left, r});
            ++running_;
        }
        cohorts_.push_back({static_cast<std::uint32_t>(running_ - before), now_});
        router_.prefilled(tokens, now_ - step_begin_, joined);
        if (running_ == 0) return become_idle();
        const bool asks = router_.chooses_before_decode() ? !joined || options_.eager_prefill
                                                          : options_.eager_prefill;
        if (asks && prefill(router_.joining_batch(now_))) return;
        decode();
    }

    void finish_decode() {
        ++steps_;
        note_intervals();
        router_.decoded(now_ - step_begin_);
        const auto before = running_;
        while (!ends_.empty() && ends_.top().first == steps_) {
            --running_;
            end(ends_.top().second);
            ends_.pop();
        }
        if (options_.filters_ended && running_ < before) filter_gap_ = options_.call_gap;
        cohorts_.assign(1, {static_cast<std::uint32_t>(running_), now_});
        const bool asks = router_.chooses_before_decode() || router_.is_runnable();
        if (planned_.empty() && running_ > 0 && asks) {
            planned_ = copy(router_.joining_batch(now_));
            is_changed_ = true;  // asking is what lets LoRAX exchange adapters
        } else if (!planned_.empty() && router_.is_runnable()) {
            for (const auto r : router_.late_batch(planned_, now_)) planned_.push_back(r);
        }
        if (prefill(std::exchange(planned_, {}))) return;
        if (running_ == 0) return become_idle();
        decode();
    }

    void note_intervals() {
        for (const auto& c : cohorts_) {
            if (c.requests > 0) out_.intervals.push_back({now_ - c.last_token, c.requests});
        }
    }

    void end(request_index r) {
        out_.requests[r].done = since_start();
        out_.end = since_start();
        ++ended_;
        router_.ended(r, now_);
        is_changed_ = true;
    }

    void become_idle() {
        has_stepped_ = true;
        cohorts_.clear();
        prefill(router_.first_batch(now_));
    }

    static std::vector<request_index> copy(std::span<const request_index> from) {
        return {from.begin(), from.end()};
    }

    /// Starts the Prefill of a batch; false if it is empty.
    bool prefill(std::span<const request_index> batch) {
        if (batch.empty()) return false;
        for (const auto r : batch) out_.requests[r].joined = since_start();
        prefilling_ = copy(batch);
        ++out_.prefills;
        is_changed_ = true;
        start(step::prefill, shards_.prefill_cost(from_, batch));
        return true;
    }

    void decode() {
        ++out_.decodes;
        out_.decoded_sequences += running_;
        start(step::decode, shards_.decode_cost(running_));
        if (!std::exchange(has_stepped_, true)) is_changed_ = true;
        if (!router_.chooses_before_decode()) planned_ = copy(router_.joining_batch(now_));
        if (!planned_.empty()) is_changed_ = true;
    }

    void start(step what, duration cost) {
        step_ = what;
        step_begin_ = now_;
        step_end_ = shards_.step(now_ + options_.call_gap + filter_gap_, cost);
        filter_gap_ = duration{0};
    }

    /// After each event: what the idle loop and the caller of adapter calls would do now.
    void settle() {
        if (std::exchange(is_changed_, false)) {
            make_calls();
            for (auto& f : router_.take_failed()) fail(std::move(f));
        }
        if (step_ == step::none && router_.is_runnable()) {
            prefill(router_.first_batch(now_));
            make_calls();
        }
        out_.states.note(since_start(), router_.waiting(), running_);
    }

    void make_calls() {
        const bool is_paced = options_.paced_adapter_calls;
        for (;;) {
            if (is_paced && step_ != step::none && !has_stepped_) return;
            due_.clear();
            router_.due(now_, is_paced ? 1 : calls_at_once, due_);
            if (due_.empty()) return;
            has_stepped_ = false;
            for (const auto& c : due_) {
                ++out_.adapter_calls[static_cast<std::size_t>(c.kind)];
                if (c.kind == adapter::call_kind::offload) {
                    resident_.offloaded(c.adapter, since_start());
                }
                shards_.call(c, now_ + options_.adapter_call_gap);
            }
        }
    }

    void fail(failure f) {
        auto& r = out_.requests[f.request];
        r.has_failed = true;
        r.done = since_start();
        out_.end = since_start();
        ++ended_;
        out_.failures.push_back(std::move(f));
    }

    /// Nothing can happen any more: what has not ended never would.
    void fail_stuck() {
        for (request_index r = 0; ended_ < from_.arrivals.size(); ++r) {
            const auto& one = out_.requests[r];
            if (one.has_failed || one.done.count() > 0) continue;
            fail({r, "it was never scheduled, and nothing is left to happen"});
        }
    }

    duration since_start() const { return now_ - begin; }

    const workload& from_;
    router_model& router_;
    const engine_options& options_;
    modelled_shards shards_;
    residency resident_;
    outcome out_;

    time_point now_ = begin;
    std::size_t next_arrival_ = 0;
    std::size_t ended_ = 0;
    bool is_changed_ = false;  // adapter calls may be due

    step step_ = step::none;
    time_point step_begin_;
    time_point step_end_ = never;
    duration filter_gap_{0};  // of the FilterBatch before the next step
    std::vector<request_index> prefilling_;
    std::vector<request_index> planned_;  // join after the Decode under way

    std::size_t running_ = 0;
    std::uint64_t steps_ = 0;  // Decodes answered
    using last_step = std::pair<std::uint64_t, request_index>;
    std::priority_queue<last_step, std::vector<last_step>, std::greater<>> ends_;
    std::vector<cohort> cohorts_;  // of all that run

    std::vector<adapter_call> due_;
    bool has_stepped_ = true;  // since the last adapter call
};

}  // namespace

outcome simulate(
    const workload& from,
    router_model& router,
    const shard_costs& costs,
    const engine_options& options,
    const std::function<void(double)>& progress) {
    return simulation{from, router, costs, options}.run(progress);
}

}  // namespace truffula::simulator
