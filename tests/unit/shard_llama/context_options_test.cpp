#include "shard_llama/context_options.hpp"

#include "print_result.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace truffula;
using namespace truffula::shard_llama;

namespace {

/// The sentence of the refusal; empty if the sizes go together.
std::string refusal(const context_options& options) {
    const auto done = check_sizes(options);
    if (done) return {};
    CHECK(done.error().code == errc::invalid_config);
    return done.error().detail;
}

}  // namespace

TEST_CASE("context_options: the defaults go together", "[shard_llama]") {
    CHECK(refusal({}).empty());
    CHECK(context_options{}.cells_of_one() == 128);
    CHECK(context_options{.shared_cells = true}.cells_of_one() == 8192);
}

TEST_CASE("context_options: one pass holds a token of every sequence", "[shard_llama]") {
    CHECK(refusal({.max_sequences = 64, .step_tokens = 64}).empty());
    const auto why = refusal({.max_sequences = 64, .step_tokens = 63});
    CHECK(why.find("--step-tokens 63 is below --max-sequences 64") == 0);
    CHECK_FALSE(refusal({.max_sequences = 1, .step_tokens = 0}).empty());
}

TEST_CASE("context_options: every sequence has room for two tokens", "[shard_llama]") {
    CHECK(refusal({.max_total_tokens = 128, .max_sequences = 64}).empty());
    CHECK(refusal({.max_total_tokens = 127, .max_sequences = 64}).find("--max-total-tokens") == 0);
    CHECK_FALSE(
        refusal({.max_total_tokens = 127, .max_sequences = 64, .shared_cells = true}).empty());
}

TEST_CASE("context_options: each size has its limits", "[shard_llama]") {
    CHECK(refusal({.max_total_tokens = 512, .max_sequences = 256}).empty());
    CHECK_FALSE(refusal({.max_sequences = 257}).empty());
    CHECK_FALSE(refusal({.max_sequences = 0}).empty());
    CHECK(refusal({.threads = 256}).empty());
    CHECK_FALSE(refusal({.threads = 257}).empty());
    CHECK_FALSE(refusal({.threads = 0}).empty());
    CHECK(refusal({.max_total_tokens = 1U << 24U}).empty());
    CHECK_FALSE(refusal({.max_total_tokens = (1U << 24U) + 1}).empty());
    CHECK_FALSE(refusal({.max_total_tokens = 0}).empty());
    CHECK(refusal({.step_tokens = 1U << 24U}).empty());
    CHECK_FALSE(refusal({.step_tokens = (1U << 24U) + 1}).empty());
}

TEST_CASE("context_options: cells have to fit into the memory", "[shard_llama]") {
    const context_options options{.max_total_tokens = 1024};
    CHECK(check_memory(options, 1024, 1024 * 1024));
    const auto refused = check_memory(options, 1024, 1024 * 1024 - 1);
    REQUIRE_FALSE(refused);
    CHECK(
        refused.error().detail ==
        "--max-total-tokens 1024 takes 1 MiB, but this machine has 0 MiB");
}
