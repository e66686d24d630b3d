#pragma once

#include "truffula/adapter/adapter_table.hpp"
#include "truffula/adapter/identity.hpp"
#include "truffula/batching/engine_observer.hpp"
#include "truffula/error/error.hpp"
#include "truffula/inference/request.hpp"
#include "truffula/inference/token_stream.hpp"
#include "truffula/scheduler/admission.hpp"
#include "truffula/scheduler/scheduler_state.hpp"
#include "truffula/shard/answers.hpp"
#include "truffula/shard/shard_group.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace truffula::batching {

/// The engine as HTTP threads see it. \threads any.
class engine {
public:
    virtual ~engine() = default;

    /// Queues a request; its answer comes on HTTP thread `thread`, which must be the caller's.
    /// The permit is kept until the engine has let go of the request.
    ///
    /// \errors `errc::shutting_down` once the engine stops. Later errors come from the stream.
    virtual result<std::unique_ptr<inference::token_stream>> submit(
        adapter::adapter_ref adapter,
        std::shared_ptr<const inference::request> what,
        scheduler::permit permit,
        std::size_t thread) = 0;

    /// Asks the shards (contract section 13).
    ///
    /// \errors `errc::unhealthy`.
    virtual boost::asio::awaitable<result<>> health() = 0;

    /// The adapters that requests have named, and preloaded ones; at most `most`.
    ///
    /// \errors `errc::stopped`, `errc::cancelled`.
    virtual boost::asio::awaitable<result<std::vector<adapter::known_adapter>>> known_adapters(
        std::size_t most) = 0;

    /// What the shards said of the model when they last (re)connected.
    virtual shard::model_info model() const = 0;

    /// The total budget in force, in tokens (contract section 3, step 9).
    virtual std::uint32_t max_batch_total_tokens() const = 0;

    /// Ends everything: what waits or runs is answered with `errc::shutting_down`, later requests
    /// are refused, and the engine's coroutines end by themselves.
    virtual void stop() = 0;
};

struct engine_settings {
    scheduler::scheduler_settings scheduling;
    scheduler::join_settings joining;
    bool eager_prefill = false;
    bool paced_adapter_calls = true;  ///< At most one is started per step while requests run.
    std::uint32_t max_batch_prefill_tokens = 4096;
    /// Longest time per step in which the shards are polled for an answer that is due; 0: never.
    std::chrono::microseconds busy_poll{0};
    std::size_t max_undelivered_bytes = 16U << 20U;  ///< Of each HTTP thread.
    std::size_t max_stream_bytes = 64U << 10U;       ///< Of a stream, before a slow reader.

    /// Connects to the shards anew after they were lost: `shard::start_group` with its settings.
    std::function<boost::asio::awaitable<result<shard::started_group>>()> connect;

    /// The total token budget for what the shards answered to the warm-up (contract section 3,
    /// step 9); asked again after each reconnect.
    std::function<result<std::uint32_t>(const shard::started_group&)> total_budget;
};

/// Starts the engine on `ex`, one thread's executor, with shards that are up.
///
/// \param http executors of the HTTP threads, by index.
/// \param observer outlives the engine.
/// \errors those of `engine_settings::total_budget`.
result<std::shared_ptr<engine>> create_engine(
    boost::asio::any_io_executor ex,
    std::vector<boost::asio::any_io_executor> http,
    engine_settings settings,
    shard::started_group group,
    engine_observer& observer);

}  // namespace truffula::batching
