#pragma once

#include <string_view>
#include <vector>

namespace truffula::bench {

/// The `q` quantile (0 … 1) of `values`, nearest rank; 0 for none.
double quantile(std::vector<double> values, double q);
double median(std::vector<double> values);

/// Prints one line: smallest, median, 99th percentile and largest of `values`, and how many.
void report(std::string_view what, std::string_view unit, const std::vector<double>& values);

/// Prints a line that compares with a goal: `value` must be at most `goal`.
void judge(std::string_view what, double value, double goal, std::string_view unit);

}  // namespace truffula::bench
