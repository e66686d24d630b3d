// Blocks and prefix cache: allocation, matching, memory. Run by hand, in a release build.
#include "bench/figures.hpp"
#include "bench/timing.hpp"
#include "truffula/kv_cache/block_allocator.hpp"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

using namespace truffula::kv_cache;
namespace bench = truffula::bench;
using ids = std::vector<std::uint32_t>;

constexpr std::uint32_t prompt_length = 4096;
constexpr std::size_t rounds = 2000;

/// Microseconds that each of `rounds` runs takes.
template <class Work>
std::vector<double> time_of(Work run) {
    return bench::time_of<bench::microseconds>(rounds, 1, run);
}

/// Prints them, and the median beside its goal.
void measure(const std::string& what, double goal, const std::function<void()>& run) {
    const auto times = time_of(run);
    bench::report(what, "us", times);
    bench::judge(what, bench::median(times), goal, "us");
}

block_request asking(const ids& prompt) {
    block_request r;
    r.prompt_tokens = static_cast<std::uint32_t>(prompt.size());
    r.new_tokens = 1;
    r.ids = prompt;
    return r;
}

ids random_ids(std::mt19937& random, std::size_t length) {
    ids out(length);
    for (auto& id : out) id = static_cast<std::uint32_t>(random() % 32'000);
    return out;
}

/// A server that has been up for a while: its blocks are given out in no order at all.
void shuffle(block_allocator& a, std::mt19937& random, std::uint32_t blocks) {
    std::vector<block_allocation> all;
    block_request one;
    one.prompt_tokens = 1;
    one.new_tokens = 1;
    while (all.size() < blocks) all.push_back(std::move(*a.allocate(one)));
    std::shuffle(all.begin(), all.end(), random);
    while (!all.empty()) all.pop_back();
}

void allocate_and_free(std::uint32_t block_size) {
    constexpr std::uint32_t blocks = 1'000'000;
    block_allocator a{{.token_budget = (blocks + 1) * block_size, .block_size = block_size}};
    block_request r;
    r.prompt_tokens = prompt_length - 256;
    r.new_tokens = 257;
    measure("4,096 tokens taken and freed, blocks of " + std::to_string(block_size), 5, [&] {
        (void)a.allocate(r);
    });
}

void match(std::uint32_t block_size, bool is_shuffled) {
    constexpr std::uint32_t cached = 100'000;
    std::mt19937 random{1};
    const auto blocks = cached + 2 * prompt_length / block_size;
    block_allocator a{
        {.token_budget = (blocks + 1) * block_size,
         .block_size = block_size,
         .prefix_caching = true,
         .hash_seed = 99}};
    if (is_shuffled) shuffle(a, random, blocks);
    std::vector<ids> prompts;  // each shares half of what it is with the one before
    while (a.counts().cached < cached - prompt_length / block_size) {
        auto next = random_ids(random, prompt_length);
        if (!prompts.empty()) {
            std::copy_n(prompts.back().begin(), prompt_length / 2, next.begin());
        }
        auto got = a.allocate(asking(next));
        got->confirm(next);
        prompts.push_back(std::move(next));
    }
    const auto any = [&]() -> const ids& { return prompts[random() % prompts.size()]; };
    const auto name = "of 4,096 tokens, " + std::to_string(cached) + " blocks of " +
                      std::to_string(block_size) + (is_shuffled ? ", shuffled" : ", in order");
    measure("match " + name, block_size == 1 ? 200 : 50, [&] {
        block_memo memo;
        const auto offer = a.look_up(asking(any()), memo);
        bench::check(offer.cached_tokens + block_size >= prompt_length);
    });
    bench::report(
        "match and hold " + name, "us", time_of([&] { (void)a.allocate(asking(any())); }));
}

/// Bytes of this process that are in memory.
std::size_t resident() {
    std::size_t all = 0;
    std::size_t pages = 0;
    if (auto* file = std::fopen("/proc/self/statm", "r")) {
        if (std::fscanf(file, "%zu %zu", &all, &pages) != 2) pages = 0;
        std::fclose(file);
    }
    return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

void memory() {
    constexpr std::uint32_t blocks = 1'000'000;
    const auto before = resident();
    block_allocator a{
        {.token_budget = blocks + 1, .block_size = 1, .prefix_caching = true, .hash_seed = 99}};
    std::mt19937 random{1};
    while (a.counts().cached + prompt_length < blocks) {
        const auto prompt = random_ids(random, prompt_length);
        auto got = a.allocate(asking(prompt));
        got->confirm(prompt);
    }
    const auto bytes = resident() - before;
    bench::judge("memory of a cached block of 1", static_cast<double>(bytes) / blocks, 64, "bytes");
    const auto take_in = [&] {
        const auto prompt = random_ids(random, prompt_length);
        auto got = a.allocate(asking(prompt));
        got->confirm(prompt);
    };
    bench::report("4,096 blocks of 1 evicted for a new prompt", "us", time_of(take_in));
    const auto forget = [&] { a.forget(0); };
    bench::report(
        "an adapter with 1 million cached blocks forgotten",
        "us",
        bench::time_of<bench::microseconds>(1, 1, forget));
    bench::report(
        "4,096 blocks of 1 of a forgotten adapter taken",
        "us",
        bench::time_of<bench::microseconds>(200, 1, take_in));
}

}  // namespace

int main() {
    for (const std::uint32_t size : {1U, 16U}) allocate_and_free(size);
    for (const std::uint32_t size : {1U, 16U}) {
        match(size, false);
        match(size, true);
    }
    memory();
}
