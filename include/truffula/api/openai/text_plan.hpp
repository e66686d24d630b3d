#pragma once

#include "truffula/api/generate_body.hpp"
#include "truffula/api/openai/fault.hpp"
#include "truffula/api/openai/text_body.hpp"
#include "truffula/text/tools.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// From a body of OpenAI's routes to what the native rules check and the engine runs. Pure.
namespace truffula::api::openai {

/// A prompt as a client gives it.
struct given_prompt {
    std::string text;
    std::optional<std::vector<std::uint32_t>> ids;  ///< Then `text` is to be decoded from them.
};

/// What a request for text asks.
struct text_plan {
    std::string model;  ///< As the client names it.
    generate_parameters parameters;
    std::vector<given_prompt> prompts;
    std::uint64_t n = 1;  ///< Answers shown for each prompt.
    std::optional<std::uint64_t> first_seed;
    std::optional<std::uint32_t> logprobs;  ///< Shown, with so many others.
    bool is_streamed = false;
    bool shows_usage = false;       ///< In a stream.
    bool shows_each_usage = false;  ///< In each event, too.
    bool keeps_stop = false;
    bool echo = false;
    /// Nobody asked for tokens: what a shard writes, since none stops before its first, is dropped.
    bool drops_answer = false;
    std::string_view length_name = "max_tokens";  ///< The field that the client used.
    /// The answer is JSON that calls one of these (`text::tool_reply_parser`); none: it is words.
    std::vector<std::string> tools;
};

/// \param base_model name that means the base model, as an empty name does.
/// \return why not, or nothing: then `plan` is whole.
std::optional<fault> plan_completion(
    completion_body&& body, std::string_view base_model, text_plan& plan);

/// The part that chat has, too: everything but prompts, logprobs, echo and best_of.
std::optional<fault> plan_text(text_body& body, std::string_view base_model, text_plan& plan);

/// As a LoRAX router understands it (contract section 11); it refuses nothing.
text_plan plan_lorax_completion(lorax_completion_body&& body, std::string_view base_model);

/// What a chat asks beside a text.
struct chat_plan {
    std::string messages;  ///< JSON array, in the form that templates expect.
    std::string image_at;  ///< Where the first image is in it; empty: there is none.
    std::string documents;
    std::string arguments;  ///< `chat_template_kwargs`.
    std::string template_name;
    std::optional<std::string> guideline;
    std::string tools;  ///< JSON array as sent; empty: none were.
    text::tool_choice choice;
    std::optional<std::string> tool_prompt;
    bool hears_of_tools = true;  ///< The last message gets the words about them.
    bool add_generation_prompt = true;
    bool continue_final_message = false;
};

/// \return why not, or nothing: then `plan` is whole but for its prompt, which is to be rendered.
std::optional<fault> plan_chat(
    chat_body&& body, std::string_view base_model, text_plan& plan, chat_plan& chat);

/// As a LoRAX router understands it.
std::optional<rejection> plan_lorax_chat(
    lorax_chat_body&& body, std::string_view base_model, text_plan& plan, chat_plan& chat);

/// What `model` means: an adapter's id, or nothing for the base model.
std::optional<std::string> adapter_of(std::string_view model, std::string_view base_model);

/// The constraint that `response_format` puts on the answer.
std::optional<fault> read_response_format(
    const raw_json& format, std::optional<response_format_body>& to);

}  // namespace truffula::api::openai
