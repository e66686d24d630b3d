#pragma once

#include "truffula/api/answers.hpp"
#include "truffula/api/openai/text_plan.hpp"
#include "truffula/error/error.hpp"
#include "truffula/inference/step.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace truffula::api::openai {

/// Tokens that a request took, over all its prompts and answers.
struct token_usage {
    std::uint64_t prompt = 0;
    std::uint64_t completion = 0;
};

/// What is the same in all parts of one answer.
struct answer_facts {
    std::string id;
    std::int64_t created = 0;  ///< Seconds of the epoch.
    std::string model;
    std::string fingerprint;
};

/// An id that nobody else gets: `prefix` and 24 random characters. \threads any.
std::string unique_id(std::string_view prefix);

/// Writes the answer of one request, whole or as events. Choice `i` is answer `i % n` to prompt
/// `i / n`. \threads one at a time.
class text_writer {
public:
    virtual ~text_writer() = default;

    /// Appends the events that come before any token.
    ///
    /// \param lengths of the prompts, in tokens, as the router counts.
    virtual void begin(std::string& out, std::span<const std::uint32_t> lengths) = 0;
    /// The choice starts over: nothing of it was shown yet.
    virtual void restart(std::size_t choice) = 0;
    /// Appends the events of a step; with its `finished` the choice ends.
    ///
    /// \errors when the answer is not what was asked for: then the stream fails.
    virtual result<> step(std::string& out, std::size_t choice, const inference::step& s) = 0;
    /// Appends what comes after the last choice.
    virtual void end(std::string& out, const token_usage& used) = 0;
    /// Appends how the stream ends when it fails.
    virtual void fail(std::string& out, const error& e) = 0;

    /// The whole answer in one body, or why there is none.
    virtual result<std::string> body(
        std::span<const collected_answer> choices, const token_usage& used) = 0;
};

/// Shapes the answers to `/v1/completions`.
///
/// \param plan outlives the writer; prompts have their texts.
/// \param names see `describe_fault`.
std::unique_ptr<text_writer> make_completion_writer(
    const text_plan& plan, answer_facts facts, std::vector<renamed> names);

/// The same as a LoRAX router does. A request has one choice there.
std::unique_ptr<text_writer> make_lorax_completion_writer(const text_plan& plan);

/// Shapes the answers to `/v1/chat/completions`; parameters as above.
std::unique_ptr<text_writer> make_chat_writer(
    const text_plan& plan, answer_facts facts, std::vector<renamed> names);

/// The same as a LoRAX router does.
std::unique_ptr<text_writer> make_lorax_chat_writer(const text_plan& plan, answer_facts facts);

}  // namespace truffula::api::openai
