#include "scheduler/front_heap.hpp"

#include <algorithm>

namespace truffula::scheduler {
namespace {

constexpr std::size_t children = 4;

}  // namespace

void front_heap::set(adapter::adapter_key key, queue_place place) {
    if (key >= index_.size()) index_.resize(std::size_t{key} + 1);
    if (index_[key] == 0) {
        heap_.emplace_back();
        index_[key] = static_cast<std::uint32_t>(heap_.size());
    }
    settle(index_[key] - 1, {place, key});
}

queue_place front_heap::erase(adapter::adapter_key key) {
    if (key >= index_.size() || index_[key] == 0) return {};
    const std::size_t at = index_[key] - 1;
    const auto was = heap_[at].place;
    index_[key] = 0;
    const auto last = heap_.back();
    heap_.pop_back();
    if (last.key != key) settle(at, last);
    return was;
}

void front_heap::put(std::size_t at, const front& f) {
    heap_[at] = f;
    index_[f.key] = static_cast<std::uint32_t>(at + 1);
}

/// Writes `f` where it belongs, from the free place `at` upwards or downwards.
void front_heap::settle(std::size_t at, front f) {
    while (at > 0) {
        const auto parent = (at - 1) / children;
        if (heap_[parent].place < f.place) break;
        put(at, heap_[parent]);
        at = parent;
    }
    for (;;) {
        const auto first = at * children + 1;
        if (first >= heap_.size()) break;
        const auto end = std::min(first + children, heap_.size());
        auto least = first;
        for (auto i = first + 1; i < end; ++i) {
            if (heap_[i].place < heap_[least].place) least = i;
        }
        if (f.place < heap_[least].place) break;
        put(at, heap_[least]);
        at = least;
    }
    put(at, f);
}

}  // namespace truffula::scheduler
