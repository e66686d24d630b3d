#pragma once

#include "simulator/workload.hpp"
#include "truffula/error/error.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace truffula::simulator {

/// How long prompts or answers are, in tokens.
struct length_distribution {
    enum class kind : std::uint8_t { constant, uniform, lognormal };
    kind of = kind::constant;
    double mean = 64;        ///< Constant: the length. Log-normal: the mean before the cut.
    double sigma = 0;        ///< Log-normal: of the logarithm.
    std::uint32_t low = 1;   ///< Uniform: the shortest.
    std::uint32_t high = 0;  ///< Longest; 0: no limit.
};

/// Reads `64`, `uniform:10:200` or `lognormal:MEAN:SIGMA[:MAX]`.
///
/// \errors `errc::invalid_config`, with what was found and what is expected.
result<length_distribution> read_lengths(const std::string& text);

enum class arrival_process : std::uint8_t {
    poisson,
    uniform,  ///< Evenly spaced.
    bursts,   ///< Poisson, and at a multiple of the rate for a while in each period.
};

struct arrival_options {
    arrival_process process = arrival_process::poisson;
    double rate = 25;               ///< Requests per second.
    double seconds = 60;            ///< How long requests arrive.
    std::size_t most_requests = 0;  ///< Ends earlier at so many; 0: no limit.
    double burst_factor = 5;        ///< Of the rate, within a burst.
    double burst_every = 10;        ///< Seconds from burst to burst.
    double burst_length = 1;        ///< Seconds.
    std::size_t adapters = 1000;    ///< `adapter-1` is the most popular; 0: base model only.
    double zipf = 1.0;              ///< Popularity of the k-th is 1 / k^zipf; 0: all alike.
    double base_share = 0;          ///< Of requests for the base model, 0 … 1.
    double batch_share = 0;         ///< Of requests of the priority class `batch`, 0 … 1.
    length_distribution input{length_distribution::kind::lognormal, 100, 0.8, 1, 500};
    length_distribution output{};
    std::vector<std::pair<std::string, double>> tenants;  ///< Name and weight; none: one tenant.
};

/// Requests as the options say. The same seed gives the same requests, on every machine.
workload make_arrivals(const arrival_options& options, std::uint64_t seed);

}  // namespace truffula::simulator
