#pragma once

#include "truffula/batching/engine_observer.hpp"
#include "truffula/scheduler/drain_rate.hpp"
#include "truffula/telemetry/registry.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace truffula::app {

class trace_recorder;

/// Writes down what the engine tells of itself. Names: contract section 14, and `truffula_*` of
/// docs/metrics.md.
class engine_metrics final : public batching::engine_observer {
public:
    explicit engine_metrics(telemetry::registry& all);

    void queue_length(std::size_t waiting) override;
    void next_batch_time(duration d) override;
    void waiting(const scheduler::waiting_by_reason& counts, duration longest_unserved) override;
    void drain_rate(double per_second) override;

    /// When a client that is refused now should come back. \threads any.
    std::chrono::seconds retry_after();
    void adapter_states(const adapter::adapter_table& table) override;
    void adapter_call(adapter::call_kind kind, bool succeeded, duration d) override;
    void batch_formed(std::size_t size, batching::join_reason why) override;
    void running(std::size_t requests, std::uint64_t max_tokens) override;
    void inference_done(std::string_view method, bool succeeded, duration d) override;
    void step_gap(duration d) override;
    void protocol_error(std::string_view kind, std::uint32_t count) override;
    void requeued(std::size_t requests) override;
    void undelivered_wait() override;
    void blocks(const kv_cache::block_counts& counts) override;
    void connected(bool is) override;
    void finished(const scheduler::entry& what, std::uint32_t steps) override;

    /// Requests that are answered from now on go there, too. It must outlive the engine.
    void record_to(trace_recorder& recorder) { recorder_ = &recorder; }

private:
    struct per_method {
        per_method(telemetry::registry& all, const std::string& name);
        prometheus::Counter& count;
        prometheus::Counter& success;
        prometheus::Counter& failure;
        prometheus::Histogram& duration;
    };

    per_method& counts_of(std::string_view method);

    telemetry::registry& all_;
    prometheus::Gauge& queue_;
    prometheus::Gauge& batch_size_;
    prometheus::Gauge& batch_tokens_;
    prometheus::Histogram& next_size_;
    prometheus::Counter& concat_backpressure_;
    prometheus::Counter& concat_overdue_;
    prometheus::Counter& concat_chunking_;
    per_method prefill_;
    per_method decode_;
    per_method embed_;
    per_method classify_;
    prometheus::Histogram& next_batch_;
    prometheus::Histogram& step_gap_;
    prometheus::Counter& requeued_;
    prometheus::Counter& undelivered_;
    prometheus::Counter& prefix_hits_;
    prometheus::Counter& prefix_lookups_;
    prometheus::Gauge& connected_;
    prometheus::Gauge& drain_gauge_;
    std::atomic<double> drain_rate_{0};
    std::mutex refused_mutex_;
    scheduler::retry_line refused_;
    kv_cache::block_counts last_blocks_;  // what the counters have seen
    trace_recorder* recorder_ = nullptr;
    std::size_t trace_lost_ = 0;  // what the counter has seen
};

}  // namespace truffula::app
