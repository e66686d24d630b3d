#pragma once

#include <cstdint>

namespace truffula::bench {

/// The least that Beast needs to answer: reads each request's body and writes a fixed one of the
/// size of a generate answer. Serves `port` of the loopback interface on this thread, for ever.
void serve_bare_beast(std::uint16_t port);

}  // namespace truffula::bench
