#pragma once

#include "truffula/api/json_text.hpp"
#include "truffula/api/openai/stop_trimmer.hpp"
#include "truffula/api/openai/text_writer.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Parts that several answers are made of.
namespace truffula::api::openai {

inline constexpr std::string_view done_event = "data: [DONE]\n\n";

/// OpenAI's name of a finish reason.
std::string_view finish_name(inference::finish_reason reason) noexcept;

/// What a LoRAX router calls it.
std::string_view lorax_finish_name(inference::finish_reason reason) noexcept;

/// Appends `"usage":{…}`.
void append_usage(std::string& out, const token_usage& used);

/// Appends `"id":…,"object":…,"created":…,"model":…`.
void append_facts(std::string& out, std::string_view object, const answer_facts& facts);

/// How bodies and events of an answer begin, up to their choices.
std::string answer_head(std::string_view object, const answer_facts& facts);

/// Ends the choices and the body or event: `],"usage":{…}}`.
void append_end(std::string& out, const token_usage& used);

/// Appends the event that has nothing but the usage, if it is asked for, and the last one.
void append_last_events(
    std::string& out, std::string_view event_head, const text_plan& plan, const token_usage& used);

/// How the events of a stream end: with the usage of their choice so far, if it is asked for.
class event_usage {
public:
    event_usage(const text_plan& plan, std::size_t choices) : plan_(plan), used_(choices) {}

    /// Takes the lengths of the prompts, as the router counts.
    void begin(std::span<const std::uint32_t> lengths);
    /// Takes the length of a prompt, as the shard counts; 0: it does not say.
    void prefilled(std::size_t choice, std::uint32_t length);
    void add_token(std::size_t choice) { ++used_[choice].completion; }
    void restart(std::size_t choice) { used_[choice].completion = 0; }

    /// Ends the choices and the event.
    void append(std::string& out, std::size_t choice) const;

private:
    const text_plan& plan_;
    std::vector<token_usage> used_;
};

/// Appends `,"finish_reason":…`, `null` for an empty one, and ends the choice.
void append_finish(std::string& out, std::string_view finish);

/// A token of a text, with the log-probability that it had.
struct scored_token {
    std::string text;
    float logprob = 0.0F;
    std::vector<inference::alternative_token> others;
    std::size_t offset = 0;  ///< Characters of the text before it.
    bool is_of_prompt = false;
};

/// Appends the `logprobs` of a completion.
///
/// \param others how many alternatives to show at each place.
void append_completion_logprobs(
    std::string& out, std::span<const scored_token> tokens, std::uint32_t others);

/// Appends the `logprobs` of a chat answer.
void append_chat_logprobs(
    std::string& out, std::span<const scored_token> tokens, std::uint32_t others);

/// The whole text of an answer, without the stop text that ended it.
std::string_view whole_text(const text_plan& plan, const inference::generated_text& end);

/// Text and scored tokens of one answer as they come: stop texts cut off, end tokens left out.
class shown_text {
public:
    shown_text(const text_plan& plan, std::size_t first_offset);

    /// Takes a token; `text` is then what may be shown of it and of those before.
    void add(const inference::token& t);
    void finish(const inference::generated_text& end);
    void reset();

    std::string text;                    ///< To show now; the reader clears it.
    std::vector<scored_token> scored();  ///< Those of the text shown, each once.

private:
    bool is_scored_;
    bool trims_;
    stop_trimmer trimmer_;
    std::size_t first_offset_;
    std::size_t fed_;    // characters, shown or held back
    std::size_t shown_;  // characters up to the end of `text`
    bool is_over_ = false;
    bool is_cut_ = false;  // before a stop text
    std::vector<scored_token> waiting_;
};

}  // namespace truffula::api::openai
