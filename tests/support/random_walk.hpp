#pragma once

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <iterator>
#include <optional>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace truffula::test {

/// One step of a random walk: plain numbers that a world reads in the light of its present state
/// (modulo what there is to choose from). So any subsequence of a walk is a walk, too, and a
/// failing one can be shortened.
struct walk_step {
    std::uint32_t what = 0;
    std::uint32_t a = 0;
    std::uint32_t b = 0;
    std::uint32_t c = 0;
};

/// Something that a world can do.
template <class World>
struct walk_action {
    const char* name;
    std::uint32_t weight;  ///< How often, beside the others.
    void (*take)(World&, const walk_step&);
};

/// Which of `actions` a step is.
template <class Actions>
const auto& action_of(const Actions& actions, const walk_step& step) {
    std::uint32_t sum = 0;
    for (const auto& a : actions) sum += a.weight;
    auto left = step.what % sum;
    auto at = std::begin(actions);
    while (left >= at->weight) left -= (at++)->weight;
    return *at;
}

/// An invariant that does not hold.
struct violation : std::logic_error {
    using std::logic_error::logic_error;
};

inline void expect(bool holds, const char* what) {
    if (!holds) throw violation{what};
}
inline void expect(bool holds, const std::string& what) {
    if (!holds) throw violation{what};
}

struct walk_options {
    std::size_t walks = 100;   ///< Worlds, each with a seed of its own.
    std::size_t steps = 1000;  ///< In each world.
};

namespace detail {

inline std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
    const auto* const text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// What went wrong when a new world took `steps`; nothing if all was well.
template <class World>
std::optional<std::string> run_walk(std::uint64_t seed, const std::vector<walk_step>& steps) {
    try {
        World world{seed};
        for (const auto& s : steps) world.take(s);
        world.finish();
    } catch (const std::exception& e) {
        return e.what();
    }
    return std::nullopt;
}

/// Leaves out what the failure does not need: halves first, single steps in the end.
template <class World>
std::vector<walk_step> shorten(std::uint64_t seed, std::vector<walk_step> steps) {
    for (auto chunk = steps.size() / 2; chunk > 0;) {
        bool has_shrunk = false;
        for (std::size_t at = 0; at < steps.size();) {
            auto fewer = steps;
            const auto first = fewer.begin() + static_cast<std::ptrdiff_t>(at);
            const auto size = std::min(chunk, fewer.size() - at);
            fewer.erase(first, first + static_cast<std::ptrdiff_t>(size));
            if (run_walk<World>(seed, fewer)) {
                steps = std::move(fewer);
                has_shrunk = true;
            } else {
                at += chunk;
            }
        }
        if (!has_shrunk || chunk > 1) chunk /= 2;
    }
    return steps;
}

}  // namespace detail

/// Takes random steps in worlds made from consecutive seeds; a failure is reported with its seed
/// and the shortest sequence of steps that still shows it.
///
/// A `World` is made from a seed, does a step and checks its invariants in `take(walk_step)`, its
/// last ones in `finish()`, throws `violation`, and names a step it took in
/// `static std::string name(walk_step)`. It must depend on nothing but seed and steps.
///
/// Environment: `TRUFFULA_WALK_SEED` (first seed, default 1), `TRUFFULA_WALKS` (how many times as
/// many worlds, default 1).
template <class World>
void random_walks(const char* subject, walk_options options) {
    const auto first = detail::number_from_environment("TRUFFULA_WALK_SEED", 1);
    const auto walks = options.walks * detail::number_from_environment("TRUFFULA_WALKS", 1);
    std::cerr << subject << ": " << walks << " walks of " << options.steps
              << " steps from TRUFFULA_WALK_SEED=" << first << '\n';
    for (auto seed = first; seed < first + walks; ++seed) {
        std::mt19937_64 random{seed};
        std::vector<walk_step> steps(options.steps);
        const auto number = [&random] { return static_cast<std::uint32_t>(random()); };
        for (auto& s : steps) {
            s.what = number();
            s.a = number();
            s.b = number();
            s.c = number();
        }
        if (!detail::run_walk<World>(seed, steps)) continue;
        const auto shortest = detail::shorten<World>(seed, steps);
        std::ostringstream report;
        report << subject << ": " << *detail::run_walk<World>(seed, shortest)
               << "\nTRUFFULA_WALK_SEED=" << seed << ", " << shortest.size() << " steps:";
        for (const auto& s : shortest) {
            report << "\n  " << World::name(s) << ' ' << s.a << ' ' << s.b << ' ' << s.c;
        }
        FAIL(report.str());
    }
}

}  // namespace truffula::test
