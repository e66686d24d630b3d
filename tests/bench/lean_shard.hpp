#pragma once

#include "generate.pb.h"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::bench {

namespace wire = generate::v1;
using bench_clock = std::chrono::steady_clock;

/// A shard that costs next to nothing, so that what is measured is the router: the messages of
/// real shards, one token per sequence and step, a fixed time per step if asked for.
class lean_shard {
public:
    lean_shard(std::string url, std::chrono::microseconds step)
        : url_(std::move(url)), step_(step) {}

    /// The serialised answer to `method` (the last part of the path).
    std::string answer(std::string_view method, std::string_view request);

    /// The Decode answer is about to be written: the stamp is taken before, for a thread that is
    /// preempted after its write would else read no gap at all.
    void about_to_answer(std::string_view method);

    /// From there to the next Decode, in microseconds.
    const std::vector<double>& gaps() const { return gaps_; }
    void arrived(std::string_view method);

private:
    struct sequence {
        std::uint64_t id;
        std::uint32_t left;
        std::uint32_t done;
    };
    std::string prefill(std::string_view request);
    std::string decode(std::string_view request);
    std::string filter(std::string_view request);
    template <class Response>
    std::string step(std::uint64_t batch_id, std::uint32_t prompt_tokens);
    wire::CachedBatch view(std::uint64_t batch_id) const;

    std::string url_;
    std::chrono::microseconds step_;
    std::map<std::uint64_t, std::vector<sequence>> batches_;
    std::optional<bench_clock::time_point> answered_;
    std::vector<double> gaps_;
};

/// Serves `shard` on a Unix socket with nghttp2, one connection after the other, until `stop` is
/// readable.
void serve(lean_shard& shard, const std::string& socket_path, int stop);

}  // namespace truffula::bench
