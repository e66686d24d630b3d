#include "truffula/api/encoder.hpp"

#include <utility>

namespace truffula::api {
namespace {

class tokenizer_encoder final : public encoder {
public:
    explicit tokenizer_encoder(text::tokenizer t) : tokenizer_(std::move(t)) {}

    result<std::vector<std::uint32_t>> encode(
        std::string_view text, bool add_special) const override {
        return tokenizer_.encode(text, add_special);
    }

    result<std::vector<text::token_span>> spans(
        std::string_view text, bool add_special) const override {
        return tokenizer_.spans(text, add_special);
    }

    result<std::size_t> byte_offset(
        std::string_view text, bool add_special, std::size_t skip) const override {
        return tokenizer_.byte_offset(text, add_special, skip);
    }

    result<std::string> decode(std::span<const std::uint32_t> ids) const override {
        return tokenizer_.decode(ids);
    }

private:
    text::tokenizer tokenizer_;
};

}  // namespace

std::shared_ptr<const encoder> make_encoder(text::tokenizer tokenizer) {
    return std::make_shared<tokenizer_encoder>(std::move(tokenizer));
}

}  // namespace truffula::api
