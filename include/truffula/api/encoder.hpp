#pragma once

#include "truffula/error/error.hpp"
#include "truffula/inference/request.hpp"
#include "truffula/text/tokenizer.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::api {

/// What the routes need of a tokenizer; tests put another in its place. \threads any.
class encoder {
public:
    virtual ~encoder() = default;

    /// See `text::tokenizer`, whose functions these are.
    virtual result<std::vector<std::uint32_t>> encode(
        std::string_view text, bool add_special) const = 0;
    virtual result<std::vector<text::token_span>> spans(
        std::string_view text, bool add_special) const = 0;
    virtual result<std::size_t> byte_offset(
        std::string_view text, bool add_special, std::size_t skip) const = 0;
    virtual result<std::string> decode(std::span<const std::uint32_t> ids) const = 0;
};

std::shared_ptr<const encoder> make_encoder(text::tokenizer tokenizer);

/// A prompt as the engine gets it.
struct encoded_prompt {
    std::vector<std::uint32_t> ids;
    std::size_t skipped_bytes = 0;                 ///< To cut from the front of the text.
    std::vector<inference::input_chunk> chunks{};  ///< Of a prompt with images.
};

/// Encodes a prompt and keeps the last `truncate` tokens.
///
/// \param add_special whether the model's special tokens go around the prompt.
/// \param cuts_text whether the text has to be cut where the tokens are: a shard that pads
/// encodes the text again.
/// \errors `errc::validation`.
result<encoded_prompt> encode_prompt(
    const encoder& how,
    std::string_view inputs,
    bool add_special,
    std::optional<std::uint64_t> truncate,
    bool cuts_text);

}  // namespace truffula::api
