// Memory: of the idle router, and of each stream that is open.
#include "bench/child.hpp"
#include "bench/figures.hpp"
#include "bench/http_load.hpp"
#include "bench/lean_server.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace truffula::bench;
using namespace std::chrono_literals;

constexpr std::size_t most_streams = 10'000;
constexpr std::size_t spare_descriptors = 200;

/// As many streams as this machine allows descriptors for.
std::size_t streams_allowed() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);  // the router inherits it
    return std::min<std::size_t>(most_streams, limit.rlim_cur - spare_descriptors);
}

double idle_mib() {
    temporary_folder folder;
    const auto socket = folder / "shard-0";
    lean_server shard{socket.string()};
    const router r{folder, socket};
    std::this_thread::sleep_for(1s);
    return static_cast<double>(r.process.resident_kib()) / 1024;
}

void run(std::size_t streams) {
    temporary_folder folder;
    const auto socket = folder / "shard-0";
    lean_server shard{socket.string()};
    const router r{
        folder,
        socket,
        {"--max-input-length",
         "16",
         "--max-total-tokens",
         "10000",
         "--max-batch-prefill-tokens",
         "200000",
         "--max-batch-total-tokens",
         "1000000000",
         "--waiting-served-ratio",
         "0"}};
    std::this_thread::sleep_for(1s);
    const auto idle = r.process.resident_kib();
    shard.shard().set_step(500ms);  // until all run
    http_load clients{
        r.port(),
        streams,
        {post(
            "/generate_stream",
            R"({"inputs":"measure memory","parameters":{"max_new_tokens":9000}})")},
        http_load::kind::stream};
    clients.start();
    wait_until([&] { return clients.streaming() == streams; }, "the first tokens");
    shard.shard().set_step(10s);
    std::vector<double> each;
    for (int step = 0; step < 2; ++step) {
        const auto before = shard.shard().tokens();
        wait_until([&] { return shard.shard().tokens() > before; }, "a step");
        std::this_thread::sleep_for(2s);
        const auto grown = static_cast<double>(r.process.resident_kib() - idle);
        each.push_back(grown / static_cast<double>(streams));
    }
    if (clients.failures() + clients.ended() > 0) throw std::runtime_error("streams broke");
    report(
        "KiB per stream, " + std::to_string(streams) + " streams, 1 token per 10 s", "KiB", each);
    judge("KiB per stream", quantile(each, 1), 10, "KiB");
}

}  // namespace

int main() {
    try {
        judge("idle resident memory", idle_mib(), 40, "MiB");
        run(streams_allowed());
        return 0;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
}
