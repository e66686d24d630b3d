#include "truffula/scheduler/adapter_scheduler.hpp"

#include "truffula/actor/mailbox.hpp"
#include "truffula/actor/oneshot.hpp"
#include "truffula/actor/spawn.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <iterator>
#include <utility>
#include <variant>

namespace truffula::scheduler {
namespace {

constexpr auto report_every = std::chrono::milliseconds{100};

using batch_answer = std::optional<scheduled_batch>;

struct process_command {
    entry what;
};
struct next_batch_command {
    bool is_pooled;  // of requests that do not generate
    std::vector<adapter_key> in_use;
    join_terms terms;
    std::uint32_t prefill_token_budget;
    std::uint32_t token_budget;
    reply<batch_answer> to;
};
struct wait_runnable_command {
    reply<void> to;
};
struct next_calls_command {
    std::size_t limit;
    reply<std::vector<adapter::call>> to;
};
struct finished_command {
    std::uint64_t call_id;
    result<adapter::memory_share> outcome;
};
struct cancel_command {
    request_id id;
};
struct ended_command {
    std::uint32_t input_tokens;
    std::uint32_t new_tokens;
    share_ticket share;
    std::uint32_t generated_tokens;
};
struct give_back_command {
    std::vector<entry> unused;
};
struct shards_changed_command {
    shard_limits limits;
};
struct known_adapters_command {
    std::size_t most;
    reply<std::vector<adapter::known_adapter>> to;
};
struct deadline_command {};

using command = std::variant<
    process_command,
    next_batch_command,
    wait_runnable_command,
    next_calls_command,
    finished_command,
    cancel_command,
    ended_command,
    give_back_command,
    shards_changed_command,
    known_adapters_command,
    deadline_command>;

error stopped() {
    return {errc::stopped, "the router is shutting down"};
}

std::chrono::steady_clock::time_point now() {
    return std::chrono::steady_clock::now();
}

}  // namespace

/// The mailbox that handle, leases and batches share with the actor.
struct detail::core {
    core(boost::asio::any_io_executor ex, scheduler_observer o)
        : inbox(ex), timer(ex), observer(std::move(o)) {}

    mailbox<command> inbox;
    asio::steady_timer timer;  // of the state's next deadline; the actor's own
    scheduler_observer observer;
    bool has_news = false;
};

namespace {

/// The actor: the state and those who wait for it to change.
class actor {
public:
    actor(std::shared_ptr<detail::core> core, scheduler_settings settings, shard_limits limits)
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

    std::shared_ptr<detail::core> core_;
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

lease::lease(std::shared_ptr<detail::core> owner, const scheduled_entry& of)
    : owner_(std::move(owner)),
      input_tokens_(of.what.what->input_length),
      new_tokens_(of.what.what->stopping.max_new_tokens),
      share_(of.what.share) {}

lease& lease::operator=(lease&& other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(input_tokens_, other.input_tokens_);
    std::swap(new_tokens_, other.new_tokens_);
    std::swap(generated_tokens_, other.generated_tokens_);
    std::swap(share_, other.share_);
    return *this;
}

lease::~lease() {
    if (!owner_) return;
    ended_command done{input_tokens_, new_tokens_, std::move(share_), generated_tokens_};
    (void)owner_->inbox.post(std::move(done));
}

batch_entry::~batch_entry() {
    if (what.what.to && !is_answered) {
        what.what.to->fail({errc::generation, "the request was dropped by the router"});
    }
}

scheduled_batch::scheduled_batch(
    std::shared_ptr<detail::core> owner, std::vector<scheduled_entry> entries)
    : owner_(std::move(owner)), entries_(std::move(entries)) {}

std::uint64_t scheduled_batch::prefill_tokens() const {
    std::uint64_t sum = 0;
    for (const auto& e : entries_) sum += e.prefill_tokens();
    return sum;
}

std::uint64_t scheduled_batch::total_tokens() const {
    std::uint64_t sum = 0;
    for (const auto& e : entries_) {
        sum += std::uint64_t{e.what.what->input_length} + e.what.what->stopping.max_new_tokens;
    }
    return sum;
}

void scheduled_batch::absorb(scheduled_batch more) {
    entries_.insert(
        entries_.end(),
        std::make_move_iterator(more.entries_.begin()),
        std::make_move_iterator(more.entries_.end()));
    more.entries_.clear();
}

std::vector<batch_entry> scheduled_batch::commit() {
    std::vector<batch_entry> committed;
    committed.reserve(entries_.size());
    for (auto& e : entries_) {
        lease held;  // a request that does not generate takes nothing of the total budget
        if (e.what.what->kind == inference::task::generate) held = lease{owner_, e};
        committed.emplace_back(std::move(e), std::move(held));
    }
    entries_.clear();
    return committed;
}

scheduled_batch::~scheduled_batch() {
    if (entries_.empty()) return;
    give_back_command back;
    std::vector<std::shared_ptr<sink>> clients;
    for (auto& e : entries_) {
        clients.push_back(e.what.to);
        back.unused.push_back(std::move(e.what));
    }
    entries_.clear();  // and their blocks, before the requests are queued again
    if (owner_->inbox.post(std::move(back))) return;
    for (const auto& client : clients) client->fail(stopped());
}

adapter_scheduler::adapter_scheduler(
    asio::any_io_executor ex,
    scheduler_settings settings,
    shard_limits limits,
    scheduler_observer observer)
    : core_(std::make_shared<detail::core>(ex, std::move(observer))) {
    auto self = std::make_unique<actor>(core_, std::move(settings), std::move(limits));
    asio::co_spawn(ex, actor::run(std::move(self)), rethrow);
}

void adapter_scheduler::process(entry e) {
    auto client = e.to;
    if (!core_->inbox.post(process_command{std::move(e)})) client->fail(stopped());
}

asio::awaitable<result<std::optional<scheduled_batch>>> adapter_scheduler::next_batch(
    std::vector<adapter_key> adapters_in_use,
    join_terms terms,
    std::uint32_t prefill_token_budget,
    std::uint32_t token_budget) {
    auto self = core_;  // `this` may die while we wait
    auto [to, from] = make_oneshot<batch_answer>(co_await asio::this_coro::executor);
    next_batch_command ask{
        false,
        std::move(adapters_in_use),
        terms,
        prefill_token_budget,
        token_budget,
        std::move(to)};
    if (!self->inbox.post(std::move(ask))) co_return stopped();
    co_return co_await from.get();
}

asio::awaitable<result<std::optional<scheduled_batch>>> adapter_scheduler::next_pooled_batch(
    std::vector<adapter_key> adapters_in_use, std::uint32_t prefill_token_budget) {
    auto self = core_;
    auto [to, from] = make_oneshot<batch_answer>(co_await asio::this_coro::executor);
    next_batch_command ask{
        true, std::move(adapters_in_use), join_terms{}, prefill_token_budget, 0, std::move(to)};
    if (!self->inbox.post(std::move(ask))) co_return stopped();
    co_return co_await from.get();
}

asio::awaitable<result<>> adapter_scheduler::wait_runnable() {
    auto self = core_;
    auto [to, from] = make_oneshot<void>(co_await asio::this_coro::executor);
    wait_runnable_command ask{std::move(to)};
    if (!self->inbox.post(std::move(ask))) co_return stopped();
    co_return co_await from.get();
}

bool adapter_scheduler::has_news() const {
    return core_->has_news;
}

asio::awaitable<result<std::vector<adapter::call>>> adapter_scheduler::next_calls(
    std::size_t limit) {
    auto self = core_;
    auto [to, from] = make_oneshot<std::vector<adapter::call>>(co_await asio::this_coro::executor);
    next_calls_command ask{limit, std::move(to)};
    if (!self->inbox.post(std::move(ask))) co_return stopped();
    co_return co_await from.get();
}

asio::awaitable<result<std::vector<adapter::known_adapter>>> adapter_scheduler::known_adapters(
    std::size_t most) {
    using list = std::vector<adapter::known_adapter>;
    auto self = core_;
    auto [to, from] = make_oneshot<list>(co_await asio::this_coro::executor);
    known_adapters_command ask{most, std::move(to)};
    if (!self->inbox.post(std::move(ask))) co_return stopped();
    co_return co_await from.get();
}

void adapter_scheduler::finished(std::uint64_t call_id, result<adapter::memory_share> outcome) {
    (void)core_->inbox.post(finished_command{call_id, std::move(outcome)});
}

void adapter_scheduler::cancel(request_id id) {
    (void)core_->inbox.post(cancel_command{id});
}

void adapter_scheduler::shards_changed(shard_limits limits) {
    (void)core_->inbox.post(shards_changed_command{std::move(limits)});
}

void adapter_scheduler::stop() {
    core_->inbox.close();
}

}  // namespace truffula::scheduler
