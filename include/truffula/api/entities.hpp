#pragma once

#include "truffula/error/error.hpp"
#include "truffula/inference/step.hpp"
#include "truffula/text/tokenizer.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::api {

/// Tokens of a text that belong together, as classification answers them (contract section 8).
struct entity {
    std::string group;      ///< The label without its position.
    float score = 0.0F;     ///< Mean over its tokens.
    std::string word;       ///< Its slice of the text, ASCII letters in lower case.
    std::size_t start = 0;  ///< Bytes.
    std::size_t end = 0;    ///< Bytes.
};

/// Joins labelled tokens to entities. The first and the last token are the tokenizer's own and
/// are left out. A label with exactly one `-` is a position and a tag; a token with another label
/// (`O`) belongs to no entity. Position `B`, another tag or an unlabelled token ends an entity.
///
/// \param tokens all tokens of `text`, with character offsets.
/// \errors `errc::protocol` unless there is one label for each token.
result<std::vector<entity>> join_entities(
    std::string_view text,
    std::span<const text::token_span> tokens,
    const inference::pooled_answer& labels);

/// Appends the entities as JSON.
void append_entities(std::string& out, std::span<const entity> all);

}  // namespace truffula::api
