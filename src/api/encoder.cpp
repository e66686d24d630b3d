#include "truffula/api/encoder.hpp"

#include <utility>

namespace truffula::api {
namespace {

error tokenizer_error(const error& e) {
    return {errc::validation, "tokenizer error " + e.detail};
}

}  // namespace

result<encoded_prompt> encode_prompt(
    const encoder& how,
    std::string_view inputs,
    bool add_special,
    std::optional<std::uint64_t> truncate,
    bool cuts_text) {
    auto ids = how.encode(inputs, add_special);
    if (!ids) return tokenizer_error(ids.error());
    encoded_prompt prompt{std::move(*ids), 0};
    if (!truncate || prompt.ids.size() <= *truncate) return prompt;
    const auto skip = prompt.ids.size() - *truncate;
    if (cuts_text) {
        const auto offset = how.byte_offset(inputs, add_special, skip);
        if (!offset) return tokenizer_error(offset.error());
        prompt.skipped_bytes = *offset;
    }
    prompt.ids.erase(prompt.ids.begin(), prompt.ids.begin() + static_cast<std::ptrdiff_t>(skip));
    return prompt;
}

}  // namespace truffula::api
