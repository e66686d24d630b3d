#pragma once

#include "api/generation.hpp"
#include "api/handlers.hpp"
#include "api/sequence_set.hpp"
#include "truffula/api/openai/text_writer.hpp"

#include <boost/asio/awaitable.hpp>

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace truffula::api::openai {

/// A request for text on OpenAI's routes.
struct text_call {
    text_plan plan;  // the writer refers to it
    std::vector<renamed> names;
    std::unique_ptr<text_writer> writer;
    std::vector<std::shared_ptr<const generation_call>> prompts;  // at least one

    const services& with() const noexcept { return *prompts.front()->with; }
    bool is_lorax() const noexcept { return with().compat == compat::lorax; }
};

/// All sequences of a request in the engine: those of the first prompt, then of the next.
struct running_text {
    sequence_set sequences;
    std::vector<std::uint32_t> input_lengths;  // by prompt
    std::size_t per_prompt = 1;

    /// What the shard counted, or our own count.
    std::uint32_t prompt_tokens(std::size_t sequence, std::uint32_t prefill_length) const noexcept {
        return prefill_length > 0 ? prefill_length : input_lengths[sequence / per_prompt];
    }
};

/// What the parameters that native rules speak of are called on these routes.
std::vector<renamed> names_of(const text_plan& plan, std::string_view prompt_name);

/// The calls of a plan, one for each prompt.
std::vector<std::shared_ptr<const generation_call>> make_calls(
    shared_services with, const http::request& from, const text_plan& plan, bool adds_special);

/// Checks and hands over all prompts.
///
/// \errors as `begin_generation`.
boost::asio::awaitable<result<running_text>> begin_text(std::shared_ptr<text_call> call);

/// Answers as the plan says, whole or streamed.
boost::asio::awaitable<http::response> answer_text(std::shared_ptr<text_call> call);

/// An error in the shape of the route. A 429 says when to come back.
http::response text_error(const text_call& call, const error& e);

boost::asio::awaitable<http::response> serve_completions(shared_services with, shared_request from);
boost::asio::awaitable<http::response> serve_embeddings(shared_services with, shared_request from);

boost::asio::awaitable<http::response> serve_chat(shared_services with, shared_request from);
boost::asio::awaitable<http::response> serve_models(shared_services with, shared_request from);
boost::asio::awaitable<http::response> serve_model(shared_services with, shared_request from);

/// The answer to a new request while the router shuts down.
http::response shutting_down(const services& with);

/// What `system_fingerprint` says.
std::string fingerprint(const services& with);

/// The refusal in the shape of the route.
http::response refusal(const services& with, rejection why);

}  // namespace truffula::api::openai
