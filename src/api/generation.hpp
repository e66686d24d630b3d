#pragma once

#include "truffula/api/generate_body.hpp"
#include "truffula/api/native.hpp"
#include "truffula/api/request_terms.hpp"
#include "truffula/inference/token_stream.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace truffula::api {

/// A request for text on its way to an answer. Immutable: workers read it too.
struct generation_call {
    std::shared_ptr<const services> with;
    std::shared_ptr<request_observer> observer;
    generate_body body;
    std::size_t thread = 0;                         // of HTTP
    std::optional<std::string> tenant;              // as its header says
    result<request_terms> terms = request_terms{};  // or why its headers were not taken
    std::chrono::steady_clock::time_point started;
    bool is_streamed = false;
    bool is_full_text = false;
    bool streams_all = false;  // many sequences and prompt details may be streamed, too
    std::optional<std::uint64_t> first_seed;  // of many sequences: each has the next one

    std::string_view text_prefix() const noexcept {
        return is_full_text ? std::string_view{body.inputs} : std::string_view{};
    }
};

/// A request in the engine: one stream for each sequence asked for.
struct running_generation {
    std::vector<std::unique_ptr<inference::token_stream>> sequences;
    std::uint32_t input_length = 0;

    /// What the shard counted, or our own count.
    std::uint32_t prompt_tokens(std::uint32_t prefill_length) const noexcept {
        return prefill_length > 0 ? prefill_length : input_length;
    }
};

/// Checks, encodes and hands over; all permits or none (contract section 6).
///
/// \errors those of `terms`; of section 6; `errc::overloaded`; `errc::no_adapter` for an unknown
/// adapter source; `errc::shutting_down`. \cancellation terminal: `errc::cancelled`, nothing was
/// handed over.
boost::asio::awaitable<result<running_generation>> begin_generation(
    std::shared_ptr<const generation_call> call);

/// The whole answer in one response, in an array if `as_array`.
boost::asio::awaitable<http::response> answer_whole(
    std::shared_ptr<const generation_call> call, bool as_array);

/// The answer as events. Nothing is done before the first of them is asked for.
http::response answer_streamed(std::shared_ptr<const generation_call> call);

/// Puts a successful answer into the request log, if there is one.
void log_answer(
    const generation_call& call, std::uint32_t prompt_tokens, const inference::generated_text& end);

/// Tells the observer of a request exactly once how it ended: one that is forgotten was dropped.
class request_watch {
public:
    explicit request_watch(std::shared_ptr<const generation_call> call) : call_(std::move(call)) {}
    request_watch(const request_watch&) = delete;
    request_watch& operator=(const request_watch&) = delete;
    ~request_watch();

    void failed(const error& e);
    void succeeded(
        const inference::timeline& times,
        const inference::generated_text& end,
        std::chrono::steady_clock::time_point now);

private:
    std::shared_ptr<const generation_call> call_;
    bool is_over_ = false;
};

}  // namespace truffula::api
