#include "simulator/arrivals.hpp"

// Boost's distributions, not the standard library's: theirs give the same numbers everywhere.
#include <boost/random/discrete_distribution.hpp>
#include <boost/random/exponential_distribution.hpp>
#include <boost/random/lognormal_distribution.hpp>
#include <boost/random/mersenne_twister.hpp>
#include <boost/random/uniform_01.hpp>
#include <boost/random/uniform_int_distribution.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace truffula::simulator {
namespace {

using engine = boost::random::mt19937_64;

constexpr double longest_length = 1'000'000;

bool read_number(std::string_view text, double& to) {
    const auto* const begin = text.data();
    const auto* const end = begin + text.size();
    const auto read = std::from_chars(begin, end, to);
    return read.ec == std::errc{} && read.ptr == end && std::isfinite(to);
}

std::vector<std::string_view> split(std::string_view text) {
    std::vector<std::string_view> parts;
    for (;;) {
        const auto at = text.find(':');
        parts.push_back(text.substr(0, at));
        if (at == std::string_view::npos) return parts;
        text.remove_prefix(at + 1);
    }
}

class length_source {
public:
    explicit length_source(const length_distribution& d)
        : what_(d),
          // The logarithm's mean is such that the mean of the lengths is as asked for.
          lognormal_(
              d.mean > 0 ? std::log(d.mean) - d.sigma * d.sigma / 2 : 0, d.sigma > 0 ? d.sigma : 1),
          uniform_(d.low, std::max(d.low, d.high)) {}

    std::uint32_t operator()(engine& random) {
        using kind = length_distribution::kind;
        double length = what_.mean;
        if (what_.of == kind::uniform) length = uniform_(random);
        if (what_.of == kind::lognormal && what_.sigma > 0) length = lognormal_(random);
        const double most = what_.high > 0 ? what_.high : longest_length;
        return static_cast<std::uint32_t>(std::lround(std::clamp(length, 1.0, most)));
    }

private:
    length_distribution what_;
    boost::random::lognormal_distribution<> lognormal_;
    boost::random::uniform_int_distribution<std::uint32_t> uniform_;
};

/// The time of each arrival, in seconds.
class time_source {
public:
    explicit time_source(const arrival_options& o) : options_(o) {}

    double next(engine& random) {
        if (options_.process == arrival_process::uniform) return now_ += 1 / options_.rate;
        // The unit of work is one arrival at the rate in force; a change of rate stretches it.
        double left = exponential_(random);
        if (options_.process == arrival_process::poisson) return now_ += left / options_.rate;
        for (;;) {
            const double in_period = std::fmod(now_, options_.burst_every);
            const bool bursts = in_period < options_.burst_length;
            const double rate = bursts ? options_.rate * options_.burst_factor : options_.rate;
            const double end = bursts ? options_.burst_length : options_.burst_every;
            const double room = end - in_period;
            if (left / rate < room) return now_ += left / rate;
            left -= room * rate;
            // Not by adding `room`: rounding could leave the time just short of the change.
            now_ = std::floor(now_ / options_.burst_every) * options_.burst_every + end;
        }
    }

private:
    const arrival_options& options_;
    boost::random::exponential_distribution<> exponential_{1.0};
    double now_ = 0;
};

std::vector<double> popularity(const arrival_options& o) {
    std::vector<double> weights;
    for (std::size_t k = 1; k <= o.adapters; ++k) {
        weights.push_back(1 / std::pow(static_cast<double>(k), o.zipf));
    }
    return weights.empty() ? std::vector<double>{1.0} : weights;
}

std::vector<double> shares(const arrival_options& o) {
    std::vector<double> weights;
    weights.reserve(o.tenants.size());
    for (const auto& [name, weight] : o.tenants) weights.push_back(weight);
    return weights.empty() ? std::vector<double>{1.0} : weights;
}

}  // namespace

result<length_distribution> read_lengths(const std::string& text) {
    const auto parts = split(text);
    length_distribution d;
    double numbers[3] = {0, 0, 0};
    const auto read = [&](std::size_t least, std::size_t most) {
        if (parts.size() - 1 < least || parts.size() - 1 > most) return false;
        for (std::size_t i = 1; i < parts.size(); ++i) {
            if (!read_number(parts[i], numbers[i - 1]) || numbers[i - 1] > longest_length) {
                return false;
            }
        }
        return true;
    };
    bool is_good = false;
    if (parts[0] == "uniform" && read(2, 2)) {
        d.of = length_distribution::kind::uniform;
        is_good = numbers[0] >= 1 && numbers[1] >= numbers[0];
        d.low = is_good ? static_cast<std::uint32_t>(numbers[0]) : 1;
        d.high = is_good ? static_cast<std::uint32_t>(numbers[1]) : 0;
    } else if (parts[0] == "lognormal" && read(2, 3)) {
        d.of = length_distribution::kind::lognormal;
        d.mean = numbers[0];
        d.sigma = numbers[1];
        is_good = d.mean >= 1 && d.sigma >= 0 && numbers[2] >= 0;
        d.high = is_good ? static_cast<std::uint32_t>(numbers[2]) : 0;
    } else if (parts.size() == 1 && read_number(parts[0], d.mean)) {
        is_good = d.mean >= 1 && d.mean <= longest_length;
    }
    if (is_good) return d;
    return error{
        errc::invalid_config,
        "'" + text +
            "' is no length in tokens: expected a number of at least 1, uniform:LOW:HIGH, or "
            "lognormal:MEAN:SIGMA[:MAX]"};
}

workload make_arrivals(const arrival_options& o, std::uint64_t seed) {
    workload w;
    for (std::size_t k = 1; k <= o.adapters; ++k) {
        w.adapters.push_back("adapter-" + std::to_string(k));
    }
    if (!o.tenants.empty()) w.tenants.clear();
    for (const auto& [name, weight] : o.tenants) w.tenants.push_back(name);

    engine random{seed};
    time_source times{o};
    length_source inputs{o.input};
    length_source outputs{o.output};
    const auto ranks = popularity(o);
    const auto weights = shares(o);
    boost::random::discrete_distribution<std::uint32_t> rank{ranks.begin(), ranks.end()};
    boost::random::discrete_distribution<std::uint32_t> tenant{weights.begin(), weights.end()};
    boost::random::uniform_01<> chance;
    for (;;) {
        const auto at = times.next(random);
        if (at >= o.seconds) break;
        if (o.most_requests > 0 && w.arrivals.size() == o.most_requests) break;
        arrival a;
        a.at = duration{static_cast<std::int64_t>(at * 1e9)};
        // Every number is drawn for every request: an option changes only what it is about.
        const auto popular = rank(random);
        const bool is_base = chance(random) < o.base_share;
        a.adapter = is_base || o.adapters == 0 ? 0 : popular + 1;
        a.tenant = tenant(random);
        a.is_batch = chance(random) < o.batch_share;
        a.input_tokens = inputs(random);
        a.output_tokens = outputs(random);
        w.arrivals.push_back(a);
    }
    return w;
}

}  // namespace truffula::simulator
