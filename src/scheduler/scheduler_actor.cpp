// The scheduler's actor: the pure state, fed from a mailbox (house style section 4).
#include "scheduler/scheduler_actor.hpp"

#include "truffula/actor/spawn.hpp"

#include <boost/asio/co_spawn.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace truffula::scheduler::detail {
namespace {

constexpr auto report_every = std::chrono::milliseconds{100};

std::chrono::steady_clock::time_point now() {
    return std::chrono::steady_clock::now();
}

/// The actor: the state and those who wait for it to change.
class actor {
public:
    actor(std::shared_ptr<core> core, scheduler_settings settings, shard_limits limits)
        : core_(std::move(core)), state_(std::move(settings), std::move(limits)) {}

    // Static, with all by value: the frame keeps core and state alive, no handle is needed.
    static asio::awaitable<void> run(std::unique_ptr<actor> self) {
        std::vector<command> commands;
        while (co_await self->core_->inbox.next(commands)) {
            for (auto& c : commands) std::visit(*self, std::move(c));
            commands.clear();
            self->settle();
        }
        self->core_->inbox.drain();
        self->core_->timer.cancel();
        self->state_.fail_everything(stopped());
        self->answer_failed();
    }

    void operator()(process_command&& c) { state_.submit(std::move(c.what), now()); }
    void operator()(cancel_command&& c) { state_.cancel(c.id); }
    void operator()(ended_command&& c) {
        state_.ended(c.input_tokens, c.new_tokens, c.share, c.generated_tokens);
        ++ended_;
    }
    void operator()(give_back_command&& c) { state_.give_back(std::move(c.unused), now()); }
    void operator()(wait_runnable_command&& c) { runnable_waiter_.emplace(std::move(c.to)); }
    void operator()(next_calls_command&& c) { calls_waiter_.emplace(std::move(c)); }
    void operator()(finished_command&& c) { state_.finished(c.call_id, c.outcome, now()); }
    void operator()(known_adapters_command&& c) { c.to.send(state_.adapters().known(c.most)); }
    void operator()(deadline_command&&) { armed_.reset(); }
    void operator()(shards_changed_command&& c) {
        state_.shards_changed(std::move(c.limits), now());
    }
    void operator()(next_batch_command&& c) {
        if (c.to.abandoned()) return;
        const auto start = now();
        auto entries = form(c, start);
        if (core_->observer.next_batch_time) core_->observer.next_batch_time(now() - start);
        batch_answer answer;
        if (!entries.empty()) answer.emplace(core_, std::move(entries));
        c.to.send(std::move(answer));
    }

private:
    std::vector<scheduled_entry> form(const next_batch_command& c, time_point at) {
        if (c.is_pooled) return state_.next_pooled_batch(c.in_use, c.prefill_token_budget, at);
        return state_.next_batch(c.in_use, c.terms, c.prefill_token_budget, c.token_budget, at);
    }

    /// Tells those who wait what the commands have changed.
    void settle() {
        state_.expire(now());
        if (calls_waiter_ && calls_waiter_->to.abandoned()) calls_waiter_.reset();
        if (calls_waiter_) {
            auto calls = state_.due(now(), calls_waiter_->limit);
            if (!calls.empty()) {
                auto waiter = std::exchange(calls_waiter_, std::nullopt);
                waiter->to.send(std::move(calls));
            }
        }
        answer_failed();
        core_->has_news = state_.runnable();
        if (state_.runnable() && runnable_waiter_) {
            auto waiter = std::exchange(runnable_waiter_, std::nullopt);
            waiter->send(result<>{});
        }
        const auto& observer = core_->observer;
        if (observer.queue_length) observer.queue_length(state_.waiting());
        note_drain();
        is_report_due_ = true;
        if (now() >= next_report_) report();
        arm();
    }

    /// What takes a look at all adapters: not for each command.
    void report() {
        const auto& observer = core_->observer;
        is_report_due_ = false;
        next_report_ = now() + report_every;
        if (observer.adapters) observer.adapters(state_.adapters());
        if (observer.waiting) {
            observer.waiting(state_.count_by_reason(), state_.longest_unserved(now()));
        }
        const auto blocks = state_.blocks();
        if (blocks && observer.blocks) observer.blocks(*blocks);
    }

    /// How fast places come free while somebody has one.
    void note_drain() {
        if (!core_->observer.drain_rate) return;
        drain_.observe(std::exchange(ended_, 0), state_.waiting() + state_.running(), now());
        core_->observer.drain_rate(drain_.per_second().value_or(0));
    }

    void answer_failed() {
        for (auto& [failed, why] : state_.take_failed()) failed.to->fail(std::move(why));
    }

    void arm() {
        auto deadline = state_.next_deadline(now());
        if (is_report_due_) deadline = std::min(deadline.value_or(next_report_), next_report_);
        if (!deadline || (armed_ && *armed_ <= *deadline)) return;
        armed_ = deadline;
        core_->timer.expires_at(*deadline);
        core_->timer.async_wait([core = std::weak_ptr{core_}](boost::system::error_code ec) {
            const auto alive = core.lock();
            if (!ec && alive) (void)alive->inbox.post(deadline_command{});
        });
    }

    std::shared_ptr<core> core_;
    scheduler_state state_;
    std::optional<reply<void>> runnable_waiter_;
    std::optional<next_calls_command> calls_waiter_;
    std::optional<time_point> armed_;
    bool is_report_due_ = false;
    time_point next_report_;
    std::size_t ended_ = 0;  // requests that left the shards since the last look
    drain_rate drain_;
};

}  // namespace

void start_actor(
    boost::asio::any_io_executor ex,
    std::shared_ptr<core> with,
    scheduler_settings settings,
    shard_limits limits) {
    auto self = std::make_unique<actor>(std::move(with), std::move(settings), std::move(limits));
    asio::co_spawn(ex, actor::run(std::move(self)), rethrow);
}

}  // namespace truffula::scheduler::detail
