// bench_gap [SEQUENCES...]
// The gap: what a shard with steps of 10 ms waits from its answer to the next Decode, in front of
// the router with clients that read every stream, and of a bare client that delivers nothing.
#include "bench/bare_client.hpp"
#include "bench/child.hpp"
#include "bench/figures.hpp"
#include "bench/http_load.hpp"
#include "bench/lean_server.hpp"

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

namespace {

using namespace truffula::bench;
using namespace std::chrono_literals;

constexpr auto step = 10ms;
constexpr std::size_t rounds = 12;  // short ones in turn: what the host does in between changes
constexpr std::size_t steps_per_round = 50;
const std::vector<std::size_t> usual_sizes{1, 128, 512};
constexpr std::string_view bare_mode = "--bare-client";

int run_bare_client(const std::string& socket, std::size_t sequences, std::size_t steps) {
    bare_client client{socket};
    client.call<wire::ClearCacheResponse>("ClearCache", wire::ClearCacheRequest{});
    wire::PrefillRequest first;
    for (std::size_t i = 0; i < sequences; ++i) {
        *first.mutable_batch()->add_requests() =
            make_request(i, "measure the gap", static_cast<std::uint32_t>(steps) + 10);
    }
    wire::DecodeRequest running;
    *running.add_batches() = client.prefill(first);
    client.decode(std::move(running), steps);
    return 0;
}

/// The next `count` gaps.
std::vector<double> gaps_of(lean_shard& shard, std::size_t sequences, std::size_t count) {
    shard.take_gaps(sequences);
    std::vector<double> gaps;
    const auto is_done = [&] {
        const auto more = shard.take_gaps(sequences);
        gaps.insert(gaps.end(), more.begin(), more.end());
        return gaps.size() >= count;
    };
    wait_until(is_done, "gaps between steps");
    return gaps;
}

std::vector<double> measure_router(lean_shard& shard, std::uint16_t port, std::size_t sequences) {
    shard.set_step(2ms);  // until all run
    http_load clients{
        port,
        sequences,
        {post(
            "/generate_stream",
            R"({"inputs":"measure the gap","parameters":{"max_new_tokens":900000}})")},
        http_load::kind::stream};
    clients.start();
    wait_until([&] { return clients.streaming() == sequences; }, "the first tokens");
    shard.set_step(step);
    gaps_of(shard, sequences, 4);  // of steps that were not so long yet
    auto gaps = gaps_of(shard, sequences, steps_per_round);
    if (clients.failures() + clients.ended() > 0) throw std::runtime_error("streams broke");
    return gaps;
}

std::vector<double> measure_bare(
    lean_shard& shard,
    const std::filesystem::path& socket,
    const std::filesystem::path& log,
    std::size_t sequences) {
    shard.set_step(step);
    const child client{
        this_program(),
        {std::string{bare_mode},
         socket.string(),
         std::to_string(sequences),
         std::to_string(steps_per_round + 5)},
        log};
    return gaps_of(shard, sequences, steps_per_round);
}

void compare(const std::vector<std::size_t>& sizes) {
    temporary_folder folder;
    const auto for_router = folder / "router-0";
    const auto for_bare = folder / "bare-0";
    lean_server left{for_router.string()};
    lean_server right{for_bare.string()};
    const router truffula{
        folder,
        for_router,
        {"--max-input-length",
         "16",
         "--max-total-tokens",
         "1000000",
         "--max-batch-prefill-tokens",
         "1000000",
         "--max-batch-total-tokens",
         "1000000000"}};
    for (const auto sequences : sizes) {
        std::vector<double> ours;
        std::vector<double> bare;
        std::vector<double> ratios;
        for (std::size_t round = 0; round < rounds; ++round) {
            const auto a = measure_router(left.shard(), truffula.port(), sequences);
            const auto b = measure_bare(right.shard(), for_bare, folder / "bare.log", sequences);
            ratios.push_back(median(a) / median(b));
            ours.insert(ours.end(), a.begin(), a.end());
            bare.insert(bare.end(), b.begin(), b.end());
        }
        const auto size = std::to_string(sequences) + " sequences";
        report("gap, router, " + size, "us", ours);
        report("gap, bare client, " + size, "us", bare);
        report("ratio of the medians by round, " + size, "", ratios);
        judge("router / bare client, " + size, median(ours) / median(bare), 1.0, "x");
    }
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const std::vector<std::string> arguments{argv + 1, argv + argc};
        if (arguments.size() == 4 && arguments[0] == bare_mode) {
            return run_bare_client(
                arguments[1], std::stoul(arguments[2]), std::stoul(arguments[3]));
        }
        std::vector<std::size_t> sizes;
        for (const auto& a : arguments) sizes.push_back(std::stoul(a));
        compare(sizes.empty() ? usual_sizes : sizes);
        return 0;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
}
