#include "truffula/text/tokenizer.hpp"

#include "text/rust_abi.hpp"

#include <utility>

namespace truffula::text {

#ifdef TRUFFULA_HAS_TOKENIZER

namespace {

/// What one call gathers.
template <class T>
struct gathered {
    T value{};
    std::string words;

    static void on_error(void* context, const char* words, std::size_t length) noexcept {
        static_cast<gathered*>(context)->words.assign(words, length);
    }
};

using gathered_ids = gathered<std::vector<std::uint32_t>>;
using gathered_spans = gathered<std::vector<token_span>>;

void take_ids(void* context, const std::uint32_t* ids, std::size_t count) noexcept {
    static_cast<gathered_ids*>(context)->value.assign(ids, ids + count);
}

void take_span(
    void* context,
    std::uint32_t id,
    const char* form,
    std::size_t form_length,
    std::size_t start,
    std::size_t stop) noexcept {
    token_span span;
    span.id = id;
    span.text.assign(form, form_length);
    span.start = start;
    span.stop = stop;
    static_cast<gathered_spans*>(context)->value.push_back(std::move(span));
}

void take_text(void* context, const char* text, std::size_t length) noexcept {
    static_cast<gathered<std::string>*>(context)->value.assign(text, length);
}

template <class T>
result<T> outcome(int status, gathered<T>& got) {
    if (status != 0) return error{errc::validation, std::move(got.words)};
    return std::move(got.value);
}

}  // namespace

struct tokenizer::handle {
    explicit handle(truffula_text* t) : inner(t) {}
    handle(const handle&) = delete;
    handle& operator=(const handle&) = delete;
    ~handle() { truffula_text_free(inner); }

    truffula_text* inner;
};

result<tokenizer> tokenizer::load(const tokenizer_files& files) {
    const auto file = files.tokenizer_json.string();
    const auto config = files.tokenizer_config.string();
    gathered<truffula_text*> got;
    const auto status = truffula_text_load(
        file.data(), file.size(), config.data(), config.size(), &got.value, &got, got.on_error);
    if (status != 0) return error{errc::io, std::move(got.words)};
    return tokenizer{std::make_shared<const handle>(got.value)};
}

result<std::vector<std::uint32_t>> tokenizer::encode(
    std::string_view text, bool add_special) const {
    gathered_ids got;
    const auto status = truffula_text_encode(
        handle_->inner, text.data(), text.size(), add_special, &got, take_ids, got.on_error);
    return outcome(status, got);
}

result<std::vector<token_span>> tokenizer::spans(std::string_view text, bool add_special) const {
    gathered_spans got;
    const auto status = truffula_text_spans(
        handle_->inner, text.data(), text.size(), add_special, &got, take_span, got.on_error);
    return outcome(status, got);
}

result<std::size_t> tokenizer::byte_offset(
    std::string_view text, bool add_special, std::size_t skip) const {
    gathered<std::size_t> got;
    const auto status = truffula_text_byte_offset(
        handle_->inner,
        text.data(),
        text.size(),
        add_special,
        skip,
        &got.value,
        &got,
        got.on_error);
    return outcome(status, got);
}

result<std::string> tokenizer::decode(std::span<const std::uint32_t> ids) const {
    gathered<std::string> got;
    const auto status =
        truffula_text_decode(handle_->inner, ids.data(), ids.size(), &got, take_text, got.on_error);
    return outcome(status, got);
}

bool tokenizer::available() noexcept {
    return true;
}

#else

struct tokenizer::handle {};

namespace {

error not_built() {
    return {errc::no_tokenizer, "this router was built without tokenizer (TRUFFULA_TEXT)"};
}

}  // namespace

result<tokenizer> tokenizer::load(const tokenizer_files&) {
    return not_built();
}
result<std::vector<std::uint32_t>> tokenizer::encode(std::string_view, bool) const {
    return not_built();
}
result<std::vector<token_span>> tokenizer::spans(std::string_view, bool) const {
    return not_built();
}
result<std::size_t> tokenizer::byte_offset(std::string_view, bool, std::size_t) const {
    return not_built();
}
result<std::string> tokenizer::decode(std::span<const std::uint32_t>) const {
    return not_built();
}
bool tokenizer::available() noexcept {
    return false;
}

#endif

}  // namespace truffula::text
