// Whole answers: `/generate` with 16 words and one token on 64 connections, beside a bare Beast
// server that answers the same requests with a fixed body.
#include "bench/bare_beast.hpp"
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

constexpr std::size_t connections = 64;
constexpr std::size_t rounds = 5;
constexpr auto window = 1500ms;
constexpr std::string_view bare_mode = "--bare-beast";

struct sample {
    double microseconds_per_request;
    double requests_per_second;
};

sample measure(const child& server, std::uint16_t port) {
    http_load clients{
        port,
        connections,
        {post(
            "/generate",
            R"({"inputs":"the quick brown fox jumps over the lazy dog and then it sleeps )"
            R"(for a while","parameters":{"max_new_tokens":1}})")},
        http_load::kind::whole};
    clients.start();
    std::this_thread::sleep_for(200ms);
    const auto cpu = server.cpu_time();
    const auto responses = clients.responses();
    const auto started = bench_clock::now();
    std::this_thread::sleep_for(window);
    const auto answered = static_cast<double>(clients.responses() - responses);
    const seconds used = server.cpu_time() - cpu;
    const seconds passed = bench_clock::now() - started;
    if (clients.failures() > 0) throw std::runtime_error("requests failed");
    return {used.count() * 1e6 / answered, answered / passed.count()};
}

struct samples {
    std::vector<double> cost;
    std::vector<double> rate;
    void add(sample s) {
        cost.push_back(s.microseconds_per_request);
        rate.push_back(s.requests_per_second);
    }
};

void compare(const char* what, const std::vector<std::string>& options, double goal) {
    temporary_folder folder;
    const auto socket = folder / "shard-0";
    lean_server shard{socket.string()};
    const router r{folder, socket, options};
    const auto bare_port = free_port();
    const child bare{
        this_program(), {std::string{bare_mode}, std::to_string(bare_port)}, folder / "bare.log"};
    wait_until([&] { return !http_get(bare_port, "/").empty(); }, "the bare server");
    samples ours;
    samples theirs;
    std::vector<double> ratios;
    for (std::size_t i = 0; i < rounds; ++i) {
        ours.add(measure(r.process, r.port()));
        theirs.add(measure(bare, bare_port));
        ratios.push_back(ours.rate.back() / theirs.rate.back());
    }
    std::printf("%s\n", what);
    report("router CPU per request", "us", ours.cost);
    report("bare Beast CPU per request", "us", theirs.cost);
    report("requests per second, router", "1/s", ours.rate);
    report("requests per second, bare Beast", "1/s", theirs.rate);
    report("router / bare Beast, by round", "x", ratios);
    judge("router CPU per request", median(ours.cost), goal, "us");
    // As a goal that is an upper limit: how many times faster the bare server may be.
    judge("bare Beast / router", 1 / median(ratios), 4, "x");
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const std::vector<std::string> arguments{argv + 1, argv + argc};
        if (arguments.size() == 2 && arguments[0] == bare_mode) {
            serve_bare_beast(static_cast<std::uint16_t>(std::stoul(arguments[1])));
        }
        compare("without tokenizer", {}, 60);
        if (!arguments.empty()) {
            compare("with the tokenizer given", {"--tokenizer-name", arguments[0]}, 60);
        }
        return 0;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
}
