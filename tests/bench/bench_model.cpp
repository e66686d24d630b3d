// A real model: 16 streams on the base model and three adapters at once through the router, beside
// the same batches driven by a bare client.
//
// bench_model MODEL.gguf ADAPTERS, with sql.gguf, pirate.gguf and sentiment.gguf in ADAPTERS.
#include "bench/bare_client.hpp"
#include "bench/child.hpp"
#include "bench/figures.hpp"
#include "bench/http_load.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <exception>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace truffula::bench;
using clock_type = std::chrono::steady_clock;
using seconds = std::chrono::duration<double>;

constexpr std::size_t rounds = 5;
constexpr std::size_t streams = 16;
constexpr std::uint32_t new_tokens = 32;
constexpr std::array<std::string_view, 4> adapters{"", "sql", "pirate", "sentiment"};
constexpr std::string_view prompt =
    "<|im_start|>user\nHow many customers live in Lyon?<|im_end|>\n<|im_start|>assistant\n";
constexpr std::string_view prompt_as_json =
    R"(<|im_start|>user\nHow many customers live in Lyon?<|im_end|>\n<|im_start|>assistant\n)";

struct model_files {
    std::string model;
    std::string adapters;
};

child start_shard(const temporary_folder& folder, const model_files& files, const char* name) {
    return {
        sibling("truffula-shard-llama"),
        {"--model",
         files.model,
         "--adapters",
         files.adapters,
         "--uds-path",
         (folder / name).string(),
         "--max-sequences",
         std::to_string(streams),
         "--max-total-tokens",
         "4096",
         "--threads",
         std::to_string(std::thread::hardware_concurrency())},
        folder / (std::string{name} + ".log")};
}

void wait_for(const std::filesystem::path& socket, child& shard) {
    const auto is_there = [&] {
        shard.check_alive();
        return std::filesystem::exists(socket);
    };
    wait_until(is_there, "the model shard");
}

std::vector<std::string> requests() {
    std::vector<std::string> all;
    for (const auto adapter : adapters) {
        std::string body = R"({"inputs":")";
        body.append(prompt_as_json).append(R"(","parameters":{"ignore_eos_token":true,)");
        if (!adapter.empty()) body.append(R"("adapter_id":")").append(adapter).append("\",");
        body.append("\"max_new_tokens\":").append(std::to_string(new_tokens)).append("}}");
        all.push_back(post("/generate_stream", body));
    }
    return all;
}

/// How many batches of each size the router has formed.
std::map<std::size_t, std::size_t> batch_sizes(std::uint16_t port) {
    constexpr std::string_view name = "lorax_batch_next_size_bucket{le=\"";
    std::map<std::size_t, std::size_t> sizes;
    std::istringstream lines{http_get(port, "/metrics")};
    std::size_t before = 0;
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with(name) || line.find("+Inf") != std::string::npos) continue;
        const auto size = std::stoul(line.substr(name.size()));
        const auto upto = std::stoul(line.substr(line.rfind(' ')));
        if (upto > before) sizes[size] = upto - before;
        before = upto;
    }
    return sizes;
}

struct routed {
    double seconds_taken;
    std::vector<std::size_t> batches;  // their sizes, smallest first
};

routed run_router(const router& r) {
    auto sizes = batch_sizes(r.port());
    http_load clients{r.port(), streams, requests(), http_load::kind::stream};
    const auto started = clock_type::now();
    clients.start();
    const auto is_over = [&] { return clients.ended() + clients.failures() >= streams; };
    wait_until(is_over, "the streams");
    const seconds passed = clock_type::now() - started;
    if (clients.failures() > 0 || clients.events() != streams * new_tokens) {
        throw std::runtime_error("streams broke");
    }
    routed out{passed.count(), {}};
    for (const auto& [size, count] : batch_sizes(r.port())) {
        out.batches.insert(out.batches.end(), count - sizes[size], size);
    }
    return out;
}

void load_adapters(bare_client& shard) {
    for (std::uint32_t index = 1; index < adapters.size(); ++index) {
        wire::AdapterParameters what;
        what.add_adapter_ids(std::string{adapters.at(index)});
        wire::DownloadAdapterRequest download;
        *download.mutable_adapter_parameters() = what;
        download.set_adapter_source(wire::LOCAL);
        shard.call<wire::DownloadAdapterResponse>("DownloadAdapter", download);
        wire::LoadAdapterRequest load;
        *load.mutable_adapter_parameters() = what;
        load.set_adapter_source(wire::LOCAL);
        load.set_adapter_index(index);
        shard.call<wire::LoadAdapterResponse>("LoadAdapter", load);
    }
}

wire::PrefillRequest prefill_of(std::uint64_t batch, std::size_t first, std::size_t count) {
    wire::PrefillRequest m;
    m.mutable_batch()->set_id(batch);
    m.mutable_batch()->set_size(static_cast<std::uint32_t>(count));
    for (auto i = first; i < first + count; ++i) {
        auto one = make_request(i, std::string{prompt}, new_tokens);
        const auto index = i % adapters.size();
        one.set_adapter_index(static_cast<std::uint32_t>(index));
        one.mutable_parameters()->set_adapter_id(std::string{adapters.at(index)});
        *m.mutable_batch()->add_requests() = std::move(one);
    }
    return m;
}

/// As the router does it: the first batch, a step, the next one beside it, and so on.
double run_bare(bare_client& shard, const std::vector<std::size_t>& batches) {
    const auto started = clock_type::now();
    std::vector<wire::CachedBatch> running;
    std::size_t first = 0;
    for (const auto size : batches) {
        running.push_back(shard.prefill(prefill_of(running.size() + first, first, size)));
        first += size;
        wire::DecodeRequest all;
        for (auto& batch : running) *all.add_batches() = batch;
        const bool is_last = first == streams;
        running = {shard.decode(std::move(all), is_last ? SIZE_MAX : 1)};
    }
    const seconds passed = clock_type::now() - started;
    shard.call<wire::ClearCacheResponse>("ClearCache", wire::ClearCacheRequest{});
    return passed.count();
}

void compare(const model_files& files) {
    temporary_folder folder;
    auto left = start_shard(folder, files, "routed");
    auto right = start_shard(folder, files, "bare");
    wait_for(folder / "routed-0", left);
    wait_for(folder / "bare-0", right);
    const router r{
        folder,
        folder / "routed-0",
        {"--max-input-length",
         "64",
         "--max-total-tokens",
         "128",
         "--max-batch-prefill-tokens",
         "1024",
         "--max-batch-total-tokens",
         "4096",
         "--max-batch-size",
         std::to_string(streams)}};
    bare_client bare{(folder / "bare-0").string()};
    load_adapters(bare);
    run_router(r);  // loads the adapters
    std::vector<double> ours;
    std::vector<double> theirs;
    std::vector<double> ratios;
    for (std::size_t round = 0; round < rounds; ++round) {
        const auto routed = run_router(r);
        ours.push_back(routed.seconds_taken);
        theirs.push_back(run_bare(bare, routed.batches));
        ratios.push_back(ours.back() / theirs.back());
        std::printf("round %zu, sizes of the batches:", round + 1);
        for (const auto size : routed.batches) std::printf(" %zu", size);
        std::printf("\n");
    }
    report("16 streams of 32 tokens, router", "s", ours);
    report("16 streams of 32 tokens, bare client", "s", theirs);
    report("router / bare client, by round", "x", ratios);
    judge("router / bare client", median(ours) / median(theirs), 1.05, "x");
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: bench_model MODEL.gguf ADAPTERS\n");
        return 2;
    }
    try {
        compare({argv[1], argv[2]});
        return 0;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
}
