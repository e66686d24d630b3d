#pragma once

#include "fakes.hpp"

#include <catch2/catch.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace truffula::shard_llama {

using ids = std::vector<std::uint64_t>;

/// Eight sequences of ten cells; an adapter at index 1 and another at 2.
struct batch_world {
    batch_world() {
        REQUIRE(adapters.load("one", 1));
        REQUIRE(adapters.load("two", 2));
    }

    std::size_t free_seats() {
        std::vector<seat> taken;
        while (auto one = cells->take_seat(1)) taken.push_back(std::move(*one));
        return taken.size();
    }

    few_words words;
    std::shared_ptr<fake_backend> cells = std::make_shared<fake_backend>(
        context_options{.max_total_tokens = 80, .max_sequences = 8, .step_tokens = 16});
    adapter_folder folder{"one", "two"};
    adapter_table adapters{
        [](const auto&) -> result<adapter> { return fake_weights(); }, folder.path, 1024};
    batches running{words, cells, adapters};
};

inline request with_adapter(request r, std::uint32_t index) {
    r.adapter_index = index;
    return r;
}

inline std::vector<token> tokens(const step_outcome& step) {
    std::vector<token> found;
    for (const auto& g : step.generations) found.push_back(g.next.id);
    return found;
}

inline std::string refusal(const result<step_outcome>& step) {
    return step ? std::string{} : step.error().detail;
}

}  // namespace truffula::shard_llama
