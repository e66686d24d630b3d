// Handles, leases and batches: what others hold of the scheduler's actor.
#include "truffula/scheduler/adapter_scheduler.hpp"

#include "scheduler/scheduler_actor.hpp"

#include <boost/asio/this_coro.hpp>

#include <iterator>
#include <utility>

namespace truffula::scheduler {

using namespace detail;  // the commands

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
        what.what.to->fail(stopped());  // only a stop ends a call without any outcome
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
    detail::start_actor(std::move(ex), core_, std::move(settings), std::move(limits));
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
