// Other forms of `new` and `delete` end in these, or, with sanitizers, in pairs of their own. What
// does not throw is replaced, too: it is given back through the same `delete` as the rest.
#include "allocations/counted_new.hpp"

#include <cstdlib>
#include <new>

namespace {

thread_local std::size_t count = 0;

void* counted(void* memory) {
    if (memory == nullptr) throw std::bad_alloc{};
    ++count;
    return memory;
}

}  // namespace

std::size_t truffula::test::allocations() noexcept {
    return count;
}

void* operator new(std::size_t size) {
    return counted(std::malloc(size > 0 ? size : 1));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    ++count;
    return std::malloc(size > 0 ? size : 1);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    const auto to = static_cast<std::size_t>(alignment);
    return counted(std::aligned_alloc(to, (size + to - 1) / to * to));
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}
