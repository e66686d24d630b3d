#pragma once

#include "truffula/api/openai/fault.hpp"
#include "truffula/api/pooling_bodies.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// `/v1/embeddings`: from its body to inputs, and from vectors to its answer. Pure.
namespace truffula::api::openai {

/// Inputs of one request that OpenAI takes at most.
inline constexpr std::size_t max_embedding_inputs = 2048;

/// One text, or its token ids.
struct embedding_input {
    std::string text;
    std::optional<std::vector<std::uint32_t>> ids;
};

/// \param is_strict refuses what OpenAI refuses: empty texts, more than `max_embedding_inputs`;
/// else only text and lists of text are read, and a list may be empty.
/// \return why not, or nothing: then `to` has the inputs.
std::optional<fault> read_inputs(
    text_or_json&& given, bool is_strict, std::vector<embedding_input>& to);

/// What can be said of the other fields before anything is computed.
std::optional<fault> check_fields(const embeddings_body& body);

using vectors = std::vector<std::span<const float>>;

/// OpenAI's list.
void append_embeddings(
    std::string& out,
    const vectors& all,
    bool as_base64,
    std::string_view model,
    std::uint64_t prompt_tokens);

/// A LoRAX router's object (contract section 8).
void append_lorax_embeddings(std::string& out, const vectors& all);

}  // namespace truffula::api::openai
