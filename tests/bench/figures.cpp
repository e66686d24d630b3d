#include "bench/figures.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace truffula::bench {

double quantile(std::vector<double> values, double q) {
    if (values.empty()) return 0;
    const auto last = static_cast<double>(values.size() - 1);
    const auto at = static_cast<std::ptrdiff_t>(std::lround(q * last));
    std::nth_element(values.begin(), values.begin() + at, values.end());
    return values[static_cast<std::size_t>(at)];
}

double median(std::vector<double> values) {
    return quantile(std::move(values), 0.5);
}

void report(std::string_view what, std::string_view unit, const std::vector<double>& values) {
    std::printf(
        "%-52.*s min %10.2f  median %10.2f  p99 %10.2f  max %10.2f  %.*s  (%zu)\n",
        static_cast<int>(what.size()),
        what.data(),
        quantile(values, 0),
        median(values),
        quantile(values, 0.99),
        quantile(values, 1),
        static_cast<int>(unit.size()),
        unit.data(),
        values.size());
    std::fflush(stdout);
}

void judge(std::string_view what, double value, double goal, std::string_view unit) {
    std::printf(
        "%-52.*s %10.2f %.*s, goal at most %.2f: %s\n",
        static_cast<int>(what.size()),
        what.data(),
        value,
        static_cast<int>(unit.size()),
        unit.data(),
        goal,
        value <= goal ? "met" : "MISSED");
    std::fflush(stdout);
}

}  // namespace truffula::bench
