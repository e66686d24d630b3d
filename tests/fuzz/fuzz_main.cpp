// A fuzzer for compilers without one: mutates the target's seeds, without looking at coverage.
//
//   NAME_fuzz [ITERATIONS [SEED]]
#include "fuzz_target.hpp"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <random>

namespace {

using generator = std::mt19937_64;

std::size_t below(generator& random, std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>{0, limit - 1}(random);
}

void mutate(std::string& input, const std::vector<std::string>& seeds, generator& random) {
    if (input.empty()) input.push_back('\0');
    const auto at = below(random, input.size());
    const auto length = std::min(below(random, 16) + 1, input.size() - at);
    switch (below(random, 6)) {
        case 0: input[at] = static_cast<char>(below(random, 256)); break;
        case 1:
            input[at] =
                static_cast<char>(static_cast<unsigned char>(input[at]) ^ (1U << below(random, 8)));
            break;
        case 2: input.erase(at, length); break;
        case 3: input.insert(at, input.substr(below(random, input.size()), length)); break;
        case 4: input.resize(at); break;
        default: {
            const auto& other = seeds[below(random, seeds.size())];
            if (!other.empty()) input.insert(at, other.substr(below(random, other.size())));
        }
    }
    if (input.size() > 100'000) input.resize(100'000);
}

}  // namespace

int main(int argc, char** argv) {
    const auto iterations = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 20'000;
    const auto seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
    generator random{seed};
    const auto seeds = fuzz_seeds();
    for (std::uint64_t i = 0; i < iterations; ++i) {
        auto input = seeds[below(random, seeds.size())];
        for (auto n = below(random, 8); n > 0; --n) mutate(input, seeds, random);
        LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
    }
    std::cout << iterations << " inputs from seed " << seed << '\n';
    return EXIT_SUCCESS;
}
