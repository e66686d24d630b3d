// What a streamed token costs the router, and how many a second it carries.
#include "bench/child.hpp"
#include "bench/figures.hpp"
#include "bench/http_load.hpp"
#include "bench/lean_server.hpp"

#include <chrono>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace truffula::bench;
using namespace std::chrono_literals;
using seconds = std::chrono::duration<double>;

constexpr std::size_t rounds = 5;
constexpr auto window = 2s;

struct sample {
    double microseconds_per_token;
    double tokens_per_second;
};

sample measure(const router& r, const http_load& clients) {
    const auto cpu = r.process.cpu_time();
    const auto events = clients.events();
    const auto started = bench_clock::now();
    std::this_thread::sleep_for(window);
    const auto tokens = static_cast<double>(clients.events() - events);
    const seconds used = r.process.cpu_time() - cpu;
    const seconds passed = bench_clock::now() - started;
    return {used.count() * 1e6 / tokens, tokens / passed.count()};
}

void run(lean_shard& shard, const router& r, std::size_t streams, std::chrono::microseconds step) {
    shard.set_step(2ms);  // until all run
    http_load clients{
        r.port(),
        streams,
        {post(
            "/generate_stream",
            R"({"inputs":"measure tokens","parameters":{"max_new_tokens":900000}})")},
        http_load::kind::stream};
    clients.start();
    wait_until([&] { return clients.streaming() == streams; }, "the first tokens");
    shard.set_step(step);
    std::this_thread::sleep_for(200ms);
    std::vector<double> cost;
    std::vector<double> rate;
    for (std::size_t i = 0; i < rounds; ++i) {
        const auto s = measure(r, clients);
        cost.push_back(s.microseconds_per_token);
        rate.push_back(s.tokens_per_second);
    }
    if (clients.failures() + clients.ended() > 0) throw std::runtime_error("streams broke");
    const auto what = std::to_string(streams) + " streams, " +
                      (step.count() > 0 ? "steps of 10 ms" : "as fast as it goes");
    report("router CPU per token, " + what, "us", cost);
    report("tokens per second, " + what, "1/s", rate);
    if (step.count() > 0) judge("router CPU per token, " + what, median(cost), 10, "us");
}

}  // namespace

int main() {
    try {
        temporary_folder folder;
        const auto socket = folder / "shard-0";
        lean_server shard{socket.string()};
        const router r{
            folder,
            socket,
            {"--max-input-length",
             "16",
             "--max-total-tokens",
             "1000000",
             "--max-batch-prefill-tokens",
             "1000000",
             "--max-batch-total-tokens",
             "1000000000"}};
        run(shard.shard(), r, 128, 10ms);
        run(shard.shard(), r, 128, 0us);
        run(shard.shard(), r, 512, 0us);
        return 0;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
}
