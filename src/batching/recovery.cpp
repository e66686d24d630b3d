// What happens to requests when shards fail, and how the shards come back.
#include "batching/engine_core.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace truffula::batching {
namespace {

constexpr auto first_pause = std::chrono::milliseconds{100};
constexpr auto last_pause = std::chrono::milliseconds{5000};

/// Nobody answers any more, or not in time: the shards have to be connected anew.
bool is_loss(const error& why) {
    return why.code == errc::connection || why.code == errc::deadline_exceeded;
}

}  // namespace

void engine_core::note_connection(const error& why) {
    if (!is_loss(why) || !std::exchange(is_connected_, false)) return;
    spdlog::error("lost the shards: {}", why.detail);
    loss_ = why;
    observer_.connected(false);
    last_inference_succeeded_ = false;
    work_.try_send(boost::system::error_code{});
}

/// The running batch is gone: who has seen a token fails, the others start over, once.
asio::awaitable<void> engine_core::lose_batch(error why) {
    note_connection(why);
    spdlog::warn("lost the running batch of {} requests: {}", running_.live(), why.detail);
    ahead_.reset();
    deliver();
    const auto lost = std::exchange(cached_, {});
    if (is_connected_) {
        for (const auto& batch : lost) {
            auto cleared = co_await group_->clear_cache(batch.id);
            if (!cleared) note_connection(cleared.error());
        }
    }
    std::size_t requeued = 0;
    for (auto& r : running_.remove_from(0)) {
        if (r->has_ended) {
            answer_ended(*r);
        } else if (r->has_emitted) {
            r->owned.what.what.to->fail(why);
            r->owned.is_answered = true;
        } else {
            requeued += requeue(r->owned, why, r->was_delivered) ? 1 : 0;
        }
    }
    if (requeued > 0) observer_.requeued(requeued);
}

/// Back to the queue, to its old place; a second time it fails.
bool engine_core::requeue(scheduler::batch_entry& owned, const error& why, bool was_delivered) {
    auto& e = owned.what.what;
    owned.is_answered = true;
    // Whoever left meanwhile was looked for where the request was, and will not be again.
    if (e.to->abandoned()) return false;
    if (e.attempt > 0) {
        e.to->fail(why);
        return false;
    }
    const auto client = std::static_pointer_cast<stream_core>(e.to);
    if (was_delivered) client->start_over();
    auto again = std::move(e);
    ++again.attempt;
    owned.what.blocks.reset();
    scheduler.process(std::move(again));
    return true;
}

/// A shard's error does not tell whose fault it is: each request is tried by itself, once.
asio::awaitable<void> engine_core::try_alone(
    std::vector<scheduler::batch_entry> entries, error why, computing_call how) {
    constexpr bool is_retry = true;
    for (auto& e : entries) {
        if (!is_live()) {
            requeue(e, why, false);
            continue;
        }
        std::vector<scheduler::batch_entry> alone;
        alone.push_back(std::move(e));
        co_await (this->*how)(std::move(alone), is_retry);
    }
}

/// Calls beside the steps that the lost shards still owe are given up: they would hold who waits
/// for them, and tell of these shards as if it were of the new ones.
void engine_core::give_up_calls() {
    for (const auto& stop : std::set{beside_}) stop->emit(asio::cancellation_type::terminal);
    for (auto& p : std::exchange(probes_, {})) p.send(error{errc::unhealthy, "unhealthy"});
}

/// Connects anew, for as long as it takes.
asio::awaitable<void> engine_core::reconnect() {
    give_up_calls();
    group_.reset();
    auto pause = first_pause;
    asio::steady_timer timer{executor};
    for (;;) {
        auto found = co_await settings_.connect();
        if (found) {
            const auto budget = settings_.total_budget(*found);
            if (budget) {
                total_token_budget_ = *budget;
                auto limits =
                    limits_of(*found, settings_.max_batch_prefill_tokens, total_token_budget_);
                limits.were_up = true;  // perhaps only the connection was lost, on some of them
                running_ = running_batch{limits.model};
                chunks_ = limits.cuts_prompts();
                publish(found->info, total_token_budget_);
                scheduler.shards_changed(std::move(limits));
                group_ = std::move(found->group);
                is_connected_ = true;
                last_inference_succeeded_.reset();
                observer_.connected(true);
                spdlog::info("the shards are back");
                co_return;
            }
            spdlog::error("the shards came back with other limits: {}", budget.error().detail);
        } else {
            spdlog::error("cannot reach the shards: {}", found.error().detail);
        }
        timer.expires_after(pause);
        co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
        pause = std::min(pause * 2, last_pause);
    }
}

}  // namespace truffula::batching
