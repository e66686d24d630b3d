#include "support/random_walk.hpp"

#include <vector>

using truffula::test::expect;
using truffula::test::walk_step;

namespace {

/// Breaks when a step with 7 was followed, sooner or later, by one with 9.
class fragile_world {
public:
    explicit fragile_world(std::uint64_t) {}
    static std::string name(const walk_step&) { return "step"; }
    void take(const walk_step& s) {
        has_seen_seven_ = has_seen_seven_ || s.a == 7;
        expect(!has_seen_seven_ || s.a != 9, "nine after seven");
    }
    void finish() {}

private:
    bool has_seen_seven_ = false;
};

}  // namespace

TEST_CASE("random walk: a failing one is shortened to the steps that it needs") {
    std::vector<walk_step> steps(1000);
    for (auto& s : steps) s.a = 1;
    steps[100].a = steps[300].a = 7;
    steps[50].a = steps[700].a = 9;
    REQUIRE(truffula::test::detail::run_walk<fragile_world>(1, steps) == "nine after seven");
    const auto shortest = truffula::test::detail::shorten<fragile_world>(1, steps);
    REQUIRE(shortest.size() == 2);
    CHECK(shortest[0].a == 7);
    CHECK(shortest[1].a == 9);
}
