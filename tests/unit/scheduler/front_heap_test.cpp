#include "scheduler/front_heap.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <random>

using namespace truffula;
using scheduler::front_heap;
using scheduler::queue_place;

TEST_CASE("front heap: the first of all is on top, whatever came, moved and went", "[scheduler]") {
    const auto seed = Catch::rngSeed();
    INFO("seed " << seed);
    std::mt19937 random{seed};
    front_heap heap;
    std::map<adapter::adapter_key, queue_place> all;
    for (std::uint64_t i = 0; i < 20'000; ++i) {
        const auto key = static_cast<adapter::adapter_key>(random() % 60);
        if (random() % 3 > 0) {
            const queue_place place{static_cast<double>(random() % 20), i};
            heap.set(key, place);
            all[key] = place;
        } else {
            const auto found = all.find(key);
            const auto was = found == all.end() ? queue_place{} : found->second;
            REQUIRE(heap.erase(key) == was);
            all.erase(key);
        }
        REQUIRE(heap.empty() == all.empty());
        if (all.empty()) continue;
        auto first = all.begin();
        for (auto at = all.begin(); at != all.end(); ++at) {
            if (at->second < first->second) first = at;
        }
        REQUIRE(heap.top().key == first->first);
        REQUIRE(heap.top().place == first->second);
    }
}

TEST_CASE("front heap: an adapter that is not there may be erased", "[scheduler]") {
    front_heap heap;
    heap.erase(7);
    heap.set(2, {0, 5});
    heap.erase(1);
    REQUIRE_FALSE(heap.empty());
    CHECK(heap.top().key == 2);
    heap.erase(2);
    CHECK(heap.empty());
}
