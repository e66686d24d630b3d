#pragma once

#include "simulator/outcome.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace truffula::simulator {

/// Of a set of times, in milliseconds. Quantiles are values that occurred (nearest rank).
struct latency {
    double mean = 0;
    double p50 = 0;
    double p99 = 0;
};

/// Requests of one tenant or adapter.
struct group {
    std::string name;
    std::size_t requests = 0;
    std::size_t failed = 0;
    latency ttft;
    latency end_to_end;
};

/// The figures of a simulation.
struct summary {
    std::size_t requests = 0;
    std::size_t failed = 0;
    latency ttft;         ///< From arrival to the first token.
    latency inter_token;  ///< Between two tokens of a request.
    latency end_to_end;   ///< From arrival to the last token.

    /// Jain's index over adapters, of the mean of end-to-end time ÷ ideal time: 1 when all
    /// adapters are slowed down alike, 1/n when one is and the others are not.
    double jain = 1;

    std::size_t downloads = 0;
    std::size_t loads = 0;
    std::size_t offloads = 0;
    std::size_t prefills = 0;
    std::size_t decodes = 0;
    double done_after = 0;           ///< Seconds.
    double requests_per_second = 0;  ///< Completed ones, until `done_after`.
    double tokens_per_second = 0;    ///< Answers' tokens.
    double batch_size = 0;           ///< Mean over the Decodes.
    double batch_joins = 0;          ///< Requests of a Prefill, mean.
    std::vector<group> tenants;      ///< As in the workload.
    std::vector<group> adapters;     ///< Those with requests, most requests first.
};

/// Figures of `values`, which are left in another order; all zero if there are none.
latency latency_of(std::vector<duration>& values);

/// Jain's fairness index of `values`, none of them negative; 1 if there are none.
double jain_index(const std::vector<double>& values);

/// \param costs what a request would take alone: that is the ideal time.
summary summarise(const workload& from, const outcome& of, const shard_costs& costs);

/// The figures whose value is the median over `of`, each figure by itself; not empty.
summary median(const std::vector<summary>& of);

}  // namespace truffula::simulator
