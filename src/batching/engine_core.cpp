#include "batching/engine_core.hpp"

#include "truffula/actor/spawn.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include <utility>

namespace truffula::batching {
namespace {

scheduler::cost_model model_of(const shard::model_info& info) {
    if (info.requires_padding) return scheduler::cost_model::padded;
    return info.requires_block_allocator ? scheduler::cost_model::blocks
                                         : scheduler::cost_model::plain;
}

scheduler::scheduler_observer forward(engine_observer& to) {
    return {
        [&to](std::size_t n) { to.queue_length(n); },
        [&to](auto time) { to.next_batch_time(time); },
        [&to](const adapter::adapter_table& table) { to.adapter_states(table); },
        [&to](const auto& counts, auto longest) { to.waiting(counts, longest); },
        [&to](double per_second) { to.drain_rate(per_second); },
        [&to](const kv_cache::block_counts& counts) { to.blocks(counts); }};
}

}  // namespace

scheduler::shard_limits limits_of(
    const shard::started_group& group,
    std::uint32_t prefill_token_budget,
    std::uint32_t total_token_budget) {
    scheduler::shard_limits limits;
    limits.model = model_of(group.info);
    limits.prefill_token_budget = prefill_token_budget;
    limits.total_token_budget = total_token_budget;
    limits.block_size = group.info.block_size;
    limits.speculate = group.info.speculate;
    limits.chunked_prefill = group.info.chunked_prefill;
    for (const auto& p : group.info.preloaded_adapters) {
        limits.preloaded.push_back({p.what, p.index});
    }
    limits.were_up = group.was_up;
    return limits;
}

engine_core::engine_core(
    asio::any_io_executor ex,
    engine_settings settings,
    shard::started_group group,
    std::uint32_t total_token_budget,
    engine_observer& observer)
    : scheduler(
          ex,
          settings.scheduling,
          limits_of(group, settings.max_batch_prefill_tokens, total_token_budget),
          forward(observer)),
      executor(ex),
      settings_(std::move(settings)),
      observer_(observer),
      group_(std::move(group.group)),
      total_token_budget_(total_token_budget),
      chunks_(limits_of(group, 0, 0).cuts_prompts()),
      running_(model_of(group.info)),
      rule_(settings_.joining),
      forecast_(settings_.busy_poll),
      work_(ex, 1),
      drained_(ex, 1),
      stepped_(ex, 1) {
    publish(group.info, total_token_budget);
}

void engine_core::publish(const shard::model_info& info, std::uint32_t total_token_budget) {
    const std::lock_guard lock{shared_mutex_};
    shared_ = {info, total_token_budget};
}

engine_core::shared_facts engine_core::facts() const {
    const std::lock_guard lock{shared_mutex_};
    return shared_;
}

void engine_core::start() {
    // It needs a weak pointer to this, which a constructor has not yet.
    poller_ = std::make_shared<busy_poller>(executor, [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self) return;
        if (const auto held = self->group_) held->poll();
    });
    asio::co_spawn(
        executor,
        run(shared_from_this()),
        asio::bind_cancellation_slot(stop_loop_.slot(), rethrow));
    asio::co_spawn(
        executor,
        run_adapter_calls(shared_from_this()),
        asio::bind_cancellation_slot(stop_calls_.slot(), rethrow));
    observer_.connected(true);
}

void engine_core::stop() {
    if (std::exchange(is_stopping_, true)) return;
    scheduler.stop();
    stop_loop_.emit(asio::cancellation_type::terminal);
    stop_calls_.emit(asio::cancellation_type::terminal);
    // A call that waits for its answer holds its group, which holds the call.
    give_up_calls();
}

void engine_core::spawn_beside(asio::awaitable<void> work) {
    auto stop = std::make_shared<asio::cancellation_signal>();
    beside_.insert(stop);
    auto done = [self = shared_from_this(), stop](std::exception_ptr e) {
        self->beside_.erase(stop);
        try {
            rethrow(std::move(e));
        } catch (const boost::system::system_error& x) {
            if (x.code() != asio::error::operation_aborted) throw;  // how a stop ends it
        }
    };
    auto slot = stop->slot();
    asio::co_spawn(executor, std::move(work), asio::bind_cancellation_slot(slot, std::move(done)));
}

void engine_core::leave(scheduler::request_id id) {
    if (!running_.leave(id)) scheduler.cancel(id);
}

namespace {

/// The engine as the other threads see it: every call is a post.
class engine_handle final : public engine {
public:
    explicit engine_handle(std::shared_ptr<engine_core> core) : core_(std::move(core)) {}

    result<std::unique_ptr<inference::token_stream>> submit(
        adapter::adapter_ref adapter,
        std::shared_ptr<const inference::request> what,
        scheduler::permit permit,
        std::size_t thread) override {
        if (is_stopped_) return error{errc::shutting_down, "the router is shutting down"};
        if (what->kind != inference::task::generate) core_->has_pooled = true;
        const auto id = core_->next_request_id.fetch_add(1, std::memory_order_relaxed);
        auto client = std::make_shared<stream_core>(
            id,
            core_->lanes[thread],
            core_->max_stream_bytes(),
            [core = core_](scheduler::request_id gone) {
                asio::post(core->executor, [core, gone] { core->leave(gone); });
            });
        scheduler::entry e;
        e.id = id;
        e.what = std::move(what);
        e.adapter = std::make_shared<const adapter::adapter_ref>(std::move(adapter));
        e.to = client;
        e.admission = std::move(permit);
        e.created = std::chrono::steady_clock::now();
        client->times.created = e.created;
        core_->scheduler.process(std::move(e));
        return std::make_unique<client_stream>(std::move(client));
    }

    asio::awaitable<result<>> health() override {
        auto core = core_;
        auto [to, from] = make_oneshot<void>(co_await asio::this_coro::executor);
        auto shared = std::make_shared<reply<void>>(std::move(to));  // a post wants a copyable one
        asio::post(core->executor, [core, shared] { core->probe_health(std::move(*shared)); });
        auto answer = co_await from.get();
        if (!answer) co_return error{errc::unhealthy, "unhealthy"};
        co_return result<>{};
    }

    asio::awaitable<result<std::vector<adapter::known_adapter>>> known_adapters(
        std::size_t most) override {
        auto core = core_;
        co_return co_await core->scheduler.known_adapters(most);
    }

    shard::model_info model() const override { return core_->facts().model; }
    std::uint32_t max_batch_total_tokens() const override {
        return core_->facts().total_token_budget;
    }

    void stop() override {
        is_stopped_ = true;
        asio::post(core_->executor, [core = core_] { core->stop(); });
    }

private:
    std::shared_ptr<engine_core> core_;
    std::atomic<bool> is_stopped_{false};
};

}  // namespace

result<std::shared_ptr<engine>> create_engine(
    asio::any_io_executor ex,
    std::vector<asio::any_io_executor> http,
    engine_settings settings,
    shard::started_group group,
    engine_observer& observer) {
    const auto budget = settings.total_budget(group);
    if (!budget) return budget.error();
    const auto max_undelivered = settings.max_undelivered_bytes;
    auto core =
        std::make_shared<engine_core>(ex, std::move(settings), std::move(group), *budget, observer);
    for (auto& thread : http) {
        const auto tell = [weak = std::weak_ptr{core}, ex](void (engine_core::*what)()) {
            return [weak, ex, what] {
                asio::post(ex, [weak, what] {
                    if (const auto alive = weak.lock()) ((*alive).*what)();
                });
            };
        };
        lane_events events{tell(&engine_core::drained), tell(&engine_core::bad_answer)};
        core->lanes.push_back(std::make_shared<delivery_lane>(
            core->lanes.size(), thread, max_undelivered, std::move(events)));
    }
    asio::post(ex, [core] { core->start(); });
    return std::make_shared<engine_handle>(std::move(core));
}

}  // namespace truffula::batching
