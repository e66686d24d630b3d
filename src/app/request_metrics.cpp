#include "app/request_metrics.hpp"

#include <string>

namespace truffula::app {

using telemetry::duration_buckets;
using telemetry::equal_buckets;
using telemetry::seconds;

request_metrics::request_metrics(
    telemetry::registry& all, std::uint32_t max_input_length, std::uint32_t max_total_tokens)
    : all_(all),
      count_(all.counter("lorax_request_count")),
      success_(all.counter("lorax_request_success")),
      total_(all.histogram("lorax_request_duration", duration_buckets())),
      validation_(all.histogram("lorax_request_validation_duration", duration_buckets())),
      queue_(all.histogram("lorax_request_queue_duration", duration_buckets())),
      inference_(all.histogram("lorax_request_inference_duration", duration_buckets())),
      per_token_(all.histogram("lorax_request_mean_time_per_token_duration", duration_buckets())),
      input_length_(all.histogram("lorax_request_input_length", equal_buckets(max_input_length))),
      generated_(all.histogram("lorax_request_generated_tokens", equal_buckets(max_total_tokens))),
      max_new_(all.histogram("lorax_request_max_new_tokens", equal_buckets(max_total_tokens))),
      skipped_(all.summary("lorax_request_skipped_tokens")),
      inputs_(all.summary("lorax_request_input_count")),
      entities_(all.summary("lorax_request_classify_output_count")),
      first_token_(all.histogram("truffula_time_to_first_token_seconds", duration_buckets())),
      inter_token_(all.histogram("truffula_inter_token_latency_seconds", duration_buckets())) {}

void request_metrics::counted() {
    count_.Increment();
}

void request_metrics::validated(std::uint32_t input_length, std::uint32_t max_new_tokens) {
    input_length_.Observe(input_length);
    max_new_.Observe(max_new_tokens);
}

void request_metrics::streamed(std::size_t tokens, std::chrono::steady_clock::duration gap) {
    // Tokens that came together share the gap before them.
    inter_token_.Observe(seconds(gap) / static_cast<double>(tokens == 0 ? 1 : tokens));
}

void request_metrics::succeeded(const api::request_summary& how) {
    success_.Increment();
    total_.Observe(seconds(how.total));
    validation_.Observe(seconds(how.validation));
    queue_.Observe(seconds(how.queue));
    inference_.Observe(seconds(how.inference));
    per_token_.Observe(seconds(how.per_token));
    generated_.Observe(how.generated_tokens);
    skipped_.observe(how.skipped_tokens);
    first_token_.Observe(seconds(how.to_first_token));
}

void request_metrics::succeeded(const api::pooling_summary& how) {
    inputs_.observe(how.input_lengths.size());
    for (const auto length : how.input_lengths) input_length_.Observe(length);
    total_.Observe(seconds(how.total));
    validation_.Observe(seconds(how.validation));
    queue_.Observe(seconds(how.queue));
    inference_.Observe(seconds(how.inference));
    if (!how.classifies) return;  // LoRAX counts no embedding as a success
    success_.Increment();
    entities_.observe(how.entities);
}

void request_metrics::failed(std::string_view kind) {
    all_.counter("lorax_request_failure", {{"err", std::string{kind}}}).Increment();
}

}  // namespace truffula::app
