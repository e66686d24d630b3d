#pragma once

#include "truffula/api/request_observer.hpp"
#include "truffula/telemetry/registry.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace truffula::app {

/// Writes down how requests went. Names: contract section 14, and `truffula_*` of
/// docs/metrics.md. \threads any.
class request_metrics final : public api::request_observer {
public:
    /// \param max_input_length, max_total_tokens tokens; they set the bounds of histograms.
    request_metrics(
        telemetry::registry& all, std::uint32_t max_input_length, std::uint32_t max_total_tokens);

    void counted() override;
    void validated(std::uint32_t input_length, std::uint32_t max_new_tokens) override;
    void streamed(std::size_t tokens, std::chrono::steady_clock::duration gap) override;
    void succeeded(const api::request_summary& how) override;
    void succeeded(const api::pooling_summary& how) override;
    void failed(std::string_view kind) override;

private:
    telemetry::registry& all_;
    prometheus::Counter& count_;
    prometheus::Counter& success_;
    prometheus::Histogram& total_;
    prometheus::Histogram& validation_;
    prometheus::Histogram& queue_;
    prometheus::Histogram& inference_;
    prometheus::Histogram& per_token_;
    prometheus::Histogram& input_length_;
    prometheus::Histogram& generated_;
    prometheus::Histogram& max_new_;
    telemetry::count_summary& skipped_;
    telemetry::count_summary& inputs_;
    telemetry::count_summary& entities_;
    prometheus::Histogram& first_token_;
    prometheus::Histogram& inter_token_;
};

}  // namespace truffula::app
