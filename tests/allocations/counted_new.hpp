#pragma once

#include <cstddef>

namespace truffula::test {

/// How often this thread has asked for memory by `new`.
std::size_t allocations() noexcept;

/// How often `what` does.
template <class F>
std::size_t allocations_in(F what) {
    const auto before = allocations();
    what();
    return allocations() - before;
}

}  // namespace truffula::test
