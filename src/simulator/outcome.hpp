#pragma once

#include "simulator/router_model.hpp"
#include "simulator/timeline.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace truffula::simulator {

/// What became of one request. Times are since the start.
struct request_outcome {
    duration joined{0};       ///< Taken into a batch.
    duration first_token{0};  ///< Its Prefill was answered.
    duration done{0};         ///< Its last token, or its failure.
    bool has_failed = false;
};

/// A time between two tokens of a request, and how many requests saw it.
struct token_interval {
    duration length{0};
    std::uint32_t requests = 0;
};

/// A stay of an adapter on the shards.
struct residence {
    std::uint32_t adapter = 0;
    duration from{0};
    duration to{0};
};

/// Everything that happened in one simulation.
struct outcome {
    std::vector<request_outcome> requests;  ///< As in `workload::arrivals`.
    std::vector<failure> failures;
    std::vector<token_interval> intervals;
    std::vector<residence> residences;
    std::array<std::size_t, 3> adapter_calls{};  ///< By `adapter::call_kind`.
    std::size_t prefills = 0;
    std::size_t decodes = 0;
    std::uint64_t decoded_sequences = 0;  ///< Summed over the Decodes.
    duration end{0};                      ///< When the last request ended.
    timeline states;
};

}  // namespace truffula::simulator
