#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace truffula::simulator {

/// Virtual time since the start of a simulation.
using duration = std::chrono::nanoseconds;

/// One request, as clients send it.
struct arrival {
    duration at{0};
    std::uint32_t adapter = 0;  ///< Index into `workload::adapters`.
    std::uint32_t tenant = 0;   ///< Index into `workload::tenants`.
    std::uint32_t input_tokens = 0;
    std::uint32_t output_tokens = 1;
    bool is_batch = false;  ///< Of the priority class `batch`, else `interactive`.
};

/// What clients send, in the order of time.
struct workload {
    std::vector<arrival> arrivals;
    std::vector<std::string> adapters{""};  ///< Names; the first, empty, is the base model.
    std::vector<std::string> tenants{"default"};
};

}  // namespace truffula::simulator
