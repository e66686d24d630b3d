#pragma once

#include "truffula/error/error.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::text {

/// Which files a model's tokenizer comes from.
struct tokenizer_files {
    std::filesystem::path tokenizer_json;
    std::filesystem::path tokenizer_config;  ///< Empty: none.
};

/// A token as `/tokenize` shows it.
struct token_span {
    std::uint32_t id = 0;
    std::string text;       ///< The vocabulary's form.
    std::size_t start = 0;  ///< Characters, not bytes.
    std::size_t stop = 0;   ///< Characters.
};

/// A model's tokenizer: Hugging Face's own library. Copies share one handle. \threads any.
class tokenizer {
public:
    /// Loads `tokenizer.json`; classes `LlamaTokenizer` and `LlamaTokenizerFast` get their
    /// post-processor rebuilt (contract section 3, step 4).
    ///
    /// \errors `errc::io` with the file and the library's words; `errc::no_tokenizer` in a build
    /// without tokenizer.
    static result<tokenizer> load(const tokenizer_files& files);

    /// Token ids of `text`.
    ///
    /// \errors `errc::validation` with the library's words.
    result<std::vector<std::uint32_t>> encode(std::string_view text, bool add_special) const;

    /// Token ids with vocabulary form and character offsets; slower than `encode`.
    result<std::vector<token_span>> spans(std::string_view text, bool add_special) const;

    /// The byte in `text` where the `skip`-th token of `encode(text, add_special)` begins: cuts
    /// text where `truncate` cuts ids.
    result<std::size_t> byte_offset(
        std::string_view text, bool add_special, std::size_t skip) const;

    /// The text of `ids`, special tokens included.
    ///
    /// \errors `errc::validation` naming an id that the vocabulary has not.
    result<std::string> decode(std::span<const std::uint32_t> ids) const;

    /// True in a build that can load tokenizers at all.
    static bool available() noexcept;

private:
    struct handle;
    explicit tokenizer(std::shared_ptr<const handle> h) : handle_(std::move(h)) {}
    std::shared_ptr<const handle> handle_;
};

}  // namespace truffula::text
