#include "app/engine_metrics.hpp"

#include "app/trace_recorder.hpp"

namespace truffula::app {
namespace {

using telemetry::seconds;

constexpr std::array call_names{"download", "load", "offload"};

telemetry::buckets batch_sizes() {
    telemetry::buckets bounds;
    for (int size = 1; size <= 1024; ++size) bounds.push_back(size);
    return bounds;
}

}  // namespace

engine_metrics::per_method::per_method(telemetry::registry& all, const std::string& name)
    : count(all.counter("lorax_batch_inference_count", {{"method", name}})),
      success(all.counter("lorax_batch_inference_success", {{"method", name}})),
      failure(all.counter("lorax_batch_inference_failure", {{"method", name}})),
      duration(all.histogram(
          "lorax_batch_inference_duration", telemetry::duration_buckets(), {{"method", name}})) {}

engine_metrics::engine_metrics(telemetry::registry& all)
    : all_(all),
      queue_(all.gauge("lorax_queue_length")),
      batch_size_(all.gauge("lorax_batch_current_size")),
      batch_tokens_(all.gauge("lorax_batch_current_max_tokens")),
      next_size_(all.histogram("lorax_batch_next_size", batch_sizes())),
      concat_backpressure_(all.counter("lorax_batch_concat", {{"reason", "backpressure"}})),
      concat_overdue_(all.counter("lorax_batch_concat", {{"reason", "wait_exceeded"}})),
      concat_chunking_(all.counter("lorax_batch_concat", {{"reason", "chunking"}})),
      prefill_(all, "prefill"),
      decode_(all, "decode"),
      embed_(all, "embed"),
      classify_(all, "classify"),
      next_batch_(all.histogram(
          "truffula_next_batch_duration_seconds", telemetry::short_duration_buckets())),
      step_gap_(all.histogram("truffula_step_gap_seconds", telemetry::short_duration_buckets())),
      requeued_(all.counter("truffula_requests_requeued")),
      undelivered_(all.counter("truffula_undelivered_waits")),
      prefix_hits_(all.counter("truffula_prefix_hit_tokens")),
      prefix_lookups_(all.counter("truffula_prompt_tokens")),
      connected_(all.gauge("truffula_shards_connected")),
      drain_gauge_(all.gauge("truffula_drain_rate")) {}

void engine_metrics::queue_length(std::size_t waiting) {
    queue_.Set(static_cast<double>(waiting));
}

void engine_metrics::next_batch_time(duration d) {
    next_batch_.Observe(seconds(d));
}

void engine_metrics::waiting(
    const scheduler::waiting_by_reason& counts, duration longest_unserved) {
    for (std::size_t i = 0; i < counts.size(); ++i) {
        const std::string reason{scheduler::name_of(static_cast<scheduler::wait_reason>(i))};
        all_.gauge("truffula_waiting_requests", {{"reason", reason}})
            .Set(static_cast<double>(counts[i]));
    }
    all_.gauge("truffula_adapter_longest_unserved_seconds").Set(seconds(longest_unserved));
}

void engine_metrics::drain_rate(double per_second) {
    drain_rate_.store(per_second, std::memory_order_relaxed);
    drain_gauge_.Set(per_second);
}

std::chrono::seconds engine_metrics::retry_after() {
    const auto now = std::chrono::steady_clock::now();
    const std::lock_guard lock{refused_mutex_};
    return refused_.refused(drain_rate_.load(std::memory_order_relaxed), now);
}

void engine_metrics::adapter_states(const adapter::adapter_table& table) {
    const auto counts = table.count_by_state();
    for (std::size_t i = 0; i < counts.size(); ++i) {
        const auto name = adapter::state_name(static_cast<adapter::adapter_state>(i));
        all_.gauge("truffula_adapters", {{"state", std::string{name}}})
            .Set(static_cast<double>(counts[i]));
    }
    all_.gauge("truffula_adapter_memory_free_ratio")
        .Set(static_cast<double>(table.free_memory()) / static_cast<double>(adapter::whole_memory));
}

void engine_metrics::adapter_call(adapter::call_kind kind, bool succeeded, duration d) {
    const std::string name = call_names.at(static_cast<std::size_t>(kind));
    const telemetry::labels of{{"call", name}, {"outcome", succeeded ? "success" : "failure"}};
    all_.histogram("truffula_adapter_call_duration_seconds", telemetry::duration_buckets(), of)
        .Observe(seconds(d));
    if (!succeeded) all_.counter("lorax_request_failure", {{"err", name + "_adapter"}}).Increment();
}

void engine_metrics::batch_formed(std::size_t size, batching::join_reason why) {
    next_size_.Observe(static_cast<double>(size));
    switch (why) {
        case batching::join_reason::none: break;
        case batching::join_reason::backpressure: concat_backpressure_.Increment(); break;
        case batching::join_reason::wait_exceeded: concat_overdue_.Increment(); break;
        case batching::join_reason::chunking: concat_chunking_.Increment(); break;
    }
}

void engine_metrics::running(std::size_t requests, std::uint64_t max_tokens) {
    batch_size_.Set(static_cast<double>(requests));
    batch_tokens_.Set(static_cast<double>(max_tokens));
}

engine_metrics::per_method& engine_metrics::counts_of(std::string_view method) {
    if (method == "prefill") return prefill_;
    if (method == "embed") return embed_;
    return method == "classify" ? classify_ : decode_;
}

void engine_metrics::inference_done(std::string_view method, bool succeeded, duration d) {
    auto& of = counts_of(method);
    of.count.Increment();
    (succeeded ? of.success : of.failure).Increment();
    if (succeeded) of.duration.Observe(seconds(d));
}

void engine_metrics::step_gap(duration d) {
    step_gap_.Observe(seconds(d));
}

void engine_metrics::protocol_error(std::string_view kind, std::uint32_t count) {
    if (count == 0) return;
    all_.counter("truffula_shard_protocol_errors", {{"kind", std::string{kind}}}).Increment(count);
}

void engine_metrics::requeued(std::size_t requests) {
    requeued_.Increment(static_cast<double>(requests));
}

void engine_metrics::undelivered_wait() {
    undelivered_.Increment();
}

void engine_metrics::blocks(const kv_cache::block_counts& counts) {
    auto last = last_blocks_;
    // Shards that came back start from nothing.
    if (counts.prompt_tokens < last.prompt_tokens) last.hit_tokens = last.prompt_tokens = 0;
    const auto grow = [](prometheus::Counter& counter, std::uint64_t from, std::uint64_t to) {
        if (to > from) counter.Increment(static_cast<double>(to - from));
    };
    grow(prefix_hits_, last.hit_tokens, counts.hit_tokens);
    grow(prefix_lookups_, last.prompt_tokens, counts.prompt_tokens);
    // Last: who reads that no block is in use any more finds counted what those in use had found.
    const auto set = [this](const char* state, std::size_t value) {
        all_.gauge("truffula_blocks", {{"state", state}}).Set(static_cast<double>(value));
    };
    if (counts.free != last.free) set("free", counts.free);
    if (counts.cached != last.cached) set("cached", counts.cached);
    if (counts.used != last.used) set("used", counts.used);
    last_blocks_ = counts;
}

void engine_metrics::connected(bool is) {
    connected_.Set(is ? 1 : 0);
}

void engine_metrics::finished(const scheduler::entry& what, std::uint32_t steps) {
    if (recorder_ == nullptr) return;
    recorder_->record(what, steps);
    const auto lost = recorder_->lost();  // also of requests before: a thread of its own writes
    if (lost == trace_lost_) return;
    all_.counter("truffula_trace_lost_requests").Increment(static_cast<double>(lost - trace_lost_));
    trace_lost_ = lost;
}

}  // namespace truffula::app
