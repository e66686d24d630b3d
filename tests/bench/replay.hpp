#pragma once

#include "simulator/outcome.hpp"

#include <chrono>
#include <cstdint>

namespace truffula::bench {

/// Sends the requests of `from` to a router when they are due, over connections that are kept, and
/// reads their streams: one thread, as long as the requests take. Prompts are as many words as
/// tokens, and `truncate` says so to a router without tokenizer.
///
/// The outcome has what clients see: `requests` and `intervals`; times count from when a request
/// was due. Requests without all of their tokens have failed.
///
/// \param limit after the last arrival; what has not ended then has failed.
simulator::outcome replay(
    std::uint16_t port, const simulator::workload& from, std::chrono::seconds limit);

}  // namespace truffula::bench
