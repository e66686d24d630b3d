#pragma once

#include "simulator/workload.hpp"
#include "truffula/error/error.hpp"

#include <cstddef>
#include <iosfwd>
#include <string>
#include <vector>

namespace truffula::simulator {

enum class on_bad_line : std::uint8_t { stop, skip };

/// A trace as it was read, and the lines that were left out.
struct trace {
    struct bad_line {
        std::size_t number = 0;
        std::string why;
    };
    workload requests;
    std::vector<bad_line> skipped;
};

/// Reads requests from CSV with a line of column names, or from JSON lines when the first character
/// is `{`. Columns, or keys: `time_s`, `adapter` (empty: base model), `input_tokens`,
/// `output_tokens`, and, not required, `tenant` and `priority` (`interactive` or `batch`). Others
/// are ignored, names have no control characters; lines need not be in the order of time.
///
/// \param name of the file, for errors.
/// \errors `errc::invalid_config` with the line's number and what is wrong: a bad line, unless it
///         is to be skipped; no line of column names; no request at all.
result<trace> read_trace(std::istream& from, const std::string& name, on_bad_line bad);

/// Writes requests as CSV, so that `read_trace` gives them back.
void write_trace(std::ostream& to, const workload& from);

}  // namespace truffula::simulator
