#pragma once

#include "truffula/adapter/adapter_table.hpp"
#include "truffula/kv_cache/block_allocator.hpp"
#include "truffula/scheduler/entry.hpp"
#include "truffula/scheduler/wait_reason.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace truffula::batching {

/// Why a batch is formed while another runs (contract section 14).
enum class join_reason : std::uint8_t {
    none,           ///< Nothing runs.
    backpressure,   ///< Enough requests wait.
    wait_exceeded,  ///< They have waited for too many steps.
    chunking,       ///< The shards share steps between prompts and answers.
};

/// What the engine tells of itself, for metrics. Called on the engine's thread, outside the gap
/// between an answer and the next step; must be quick. The defaults ignore it.
class engine_observer {
public:
    using duration = std::chrono::steady_clock::duration;
    virtual ~engine_observer() = default;

    virtual void queue_length(std::size_t) {}
    virtual void next_batch_time(duration) {}
    virtual void waiting(const scheduler::waiting_by_reason&, duration /*longest_unserved*/) {}
    virtual void drain_rate(double /*requests_per_second*/) {}  ///< 0: not known.
    virtual void adapter_states(const adapter::adapter_table&) {}
    virtual void adapter_call(adapter::call_kind, bool /*succeeded*/, duration) {}

    /// A new batch is about to be prefilled.
    virtual void batch_formed(std::size_t /*size*/, join_reason) {}
    virtual void running(std::size_t /*requests*/, std::uint64_t /*max_tokens*/) {}

    /// `method`: `prefill`, `decode`, `embed` or `classify`.
    virtual void inference_done(std::string_view /*method*/, bool /*succeeded*/, duration) {}
    virtual void step_gap(duration) {}
    virtual void protocol_error(std::string_view /*kind*/, std::uint32_t /*count*/) {}
    virtual void requeued(std::size_t /*requests*/) {}
    virtual void undelivered_wait() {}
    /// A request got its whole answer, in so many of the shards' answers.
    virtual void finished(const scheduler::entry&, std::uint32_t /*steps*/) {}
    virtual void blocks(const kv_cache::block_counts&) {}
    virtual void connected(bool) {}
};

}  // namespace truffula::batching
