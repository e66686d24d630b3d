#pragma once

#include "generate.pb.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::bench {

namespace wire = generate::v1;
using bench_clock = std::chrono::steady_clock;

/// A shard that costs next to nothing, so that what is measured is the router: the messages of
/// real shards, one token per sequence and step, a fixed time per Decode if asked for.
///
/// \threads the one that serves it, but for what says otherwise.
class lean_shard {
public:
    explicit lean_shard(std::string url) : url_(std::move(url)) {}

    /// What every Decode takes from now on. \threads any.
    void set_step(std::chrono::microseconds time) { step_ = time; }

    /// The serialised answer to `method` (the last part of the path).
    std::string answer(std::string_view method, std::string_view request);

    /// The Decode answer is about to be written: the stamp is taken before, for a thread that is
    /// preempted after its write would else read no gap at all.
    void about_to_answer(std::string_view method);

    void arrived(std::string_view method);

    /// The microseconds from an answer about `sequences` to the Decode that followed it at once,
    /// since the last question. \threads any.
    std::vector<double> take_gaps(std::size_t sequences);

    /// Tokens that were answered. \threads any.
    std::uint64_t tokens() const { return tokens_; }

private:
    struct sequence {
        std::uint64_t id;
        std::uint32_t left;
        std::uint32_t done;
    };
    std::string prefill(std::string_view request);
    std::string decode(std::string_view request);
    std::string filter(std::string_view request);
    struct gap {
        double microseconds;
        std::size_t sequences;
    };
    template <class Response>
    std::string step(std::uint64_t batch_id, std::uint32_t prompt_tokens);
    wire::CachedBatch view(std::uint64_t batch_id) const;

    std::string url_;
    std::atomic<std::chrono::microseconds> step_{std::chrono::microseconds{0}};
    std::map<std::uint64_t, std::vector<sequence>> batches_;
    std::optional<bench_clock::time_point> answered_;
    std::size_t answered_sequences_ = 0;
    std::atomic<std::uint64_t> tokens_{0};
    std::mutex mutex_;
    std::vector<gap> gaps_;
};

}  // namespace truffula::bench
