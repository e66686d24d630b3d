#pragma once

#include "truffula/error/error.hpp"
#include "truffula/scheduler/entry.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace truffula::app {

/// How much a recorder keeps.
struct trace_limits {
    std::size_t file_bytes =
        256U << 20U;                   ///< Then t.jsonl becomes t.1.jsonl, and a new one begins.
    std::size_t lines_waiting = 8192;  ///< To be written; beyond it the oldest are lost.
};

/// Writes a line of JSON for each request that was answered: when it came, adapter, tenant, tokens
/// in and out. No text of prompts or answers. Files are written by a thread of its own.
///
/// \threads one at a time.
class trace_recorder {
public:
    using time_point = std::chrono::steady_clock::time_point;

    /// Times are counted from `start`. A file t.jsonl that is there is kept, as t.1.jsonl.
    ///
    /// \errors `errc::invalid_config` when the file cannot be opened.
    static result<std::unique_ptr<trace_recorder>> open(
        const std::string& file, time_point start, trace_limits limits = {});

    /// Writes what waits, and says how many lines were lost.
    ~trace_recorder();
    trace_recorder(const trace_recorder&) = delete;
    trace_recorder& operator=(const trace_recorder&) = delete;

    /// \param steps answers that the request got from the shards.
    void record(const scheduler::entry& what, std::uint32_t steps);

    /// Lines that are not in the file, so far: written too late, or not taken by the disk.
    std::size_t lost() const;

private:
    struct writer;
    trace_recorder(std::unique_ptr<writer> w, time_point start);

    std::unique_ptr<writer> writer_;
    time_point start_;
};

}  // namespace truffula::app
