#pragma once

#include "shard_sim/adapters.hpp"
#include "shard_sim/batches.hpp"
#include "shard_sim/gap_meter.hpp"
#include "shard_sim/options.hpp"
#include "shard_sim/protocol_checker.hpp"

#include <array>
#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <string>

namespace truffula::shard_sim {

/// What came of a call: how long it takes, and its error, if it has one.
struct outcome {
    std::chrono::microseconds cost{0};
    std::optional<std::string> error;  ///< Text of the INTERNAL status.
    std::function<void()> after;       ///< To be called, as the calls are, once the time is over.
};

/// The simulated shard without sockets, threads and clocks: state, protocol checks, counters.
/// Calls are made in the order in which they have their turn.
///
/// A `fault` given to a call makes it fail (`fail`), or spoils its answer.
/// \threads one at a time.
class shard {
public:
    explicit shard(const options& settings);

    outcome info(wire::InfoResponse& out) const;
    outcome service_discovery(wire::ServiceDiscoveryResponse& out) const;
    outcome clear_cache(const wire::ClearCacheRequest& in);
    outcome filter_batch(const wire::FilterBatchRequest& in, wire::FilterBatchResponse& out);
    outcome warmup(const wire::WarmupRequest& in, wire::WarmupResponse& out);
    outcome prefill(
        const wire::PrefillRequest& in,
        wire::PrefillResponse& out,
        const std::optional<fault>& wrong);
    outcome decode(
        const wire::DecodeRequest& in,
        wire::DecodeResponse& out,
        const std::optional<fault>& wrong);
    outcome embed(const wire::EmbedRequest& in, wire::EmbedResponse& out);
    outcome classify(const wire::ClassifyRequest& in, wire::ClassifyResponse& out);
    outcome download(const wire::DownloadAdapterRequest& in, wire::DownloadAdapterResponse& out);
    outcome load(const wire::LoadAdapterRequest& in, wire::LoadAdapterResponse& out);
    outcome offload(const wire::OffloadAdapterRequest& in, wire::OffloadAdapterResponse& out);

    protocol_checker& checker() { return checker_; }
    const protocol_checker& checker() const { return checker_; }
    gap_meter& gaps() { return gaps_; }

    /// A call of `m` failed.
    void count_failure(method m) { ++failures_[index_of(m)]; }

    /// The report as JSON text: calls, violations, adapters, peaks, gaps (microseconds).
    std::string report() const;

private:
    std::chrono::microseconds cost_of(const wire::Batch& batch) const;
    template <class Response>
    void publish(step done, const std::optional<fault>& wrong, Response& out);
    void lose(std::span<const std::uint64_t> ids);

    options options_;
    batches batches_;
    adapters adapters_;
    protocol_checker checker_;
    gap_meter gaps_;
    std::array<std::uint64_t, method_names.size()> failures_{};
    std::uint64_t downloads_ = 0;
    std::uint64_t loads_ = 0;
    std::uint64_t offloads_ = 0;
    std::uint64_t generated_tokens_ = 0;
    std::uint64_t joins_ = 0;
    std::size_t peak_batch_ = 0;
};

}  // namespace truffula::shard_sim
