// Texts of clients, ids of clients, and tokenizer files: what crosses the border to Rust.
#include "foreign_file.hpp"
#include "fuzz_target.hpp"
#include "truffula/text/tokenizer.hpp"

#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>

using namespace truffula;

namespace {

constexpr auto folder = TEST_DATA_DIR "/tokenizer/";

std::optional<text::tokenizer> load() {
    text::tokenizer_files files;
    files.tokenizer_json = std::string{folder} + "tokenizer.json";
    auto loaded = text::tokenizer::load(files);
    if (!loaded) return std::nullopt;
    return std::move(*loaded);
}

void read_text(const text::tokenizer& with, std::string_view input) {
    const auto ids = with.encode(input, true);
    const auto spans = with.spans(input, true);
    if (ids.has_value() != spans.has_value()) __builtin_trap();
    if (!ids) return;
    if (ids->size() != spans->size()) __builtin_trap();
    if (!with.decode(*ids)) __builtin_trap();
    for (const auto skip : {std::size_t{0}, ids->size() / 2, ids->size(), ids->size() + 1}) {
        const auto at = with.byte_offset(input, true, skip);
        if (at && *at > input.size()) __builtin_trap();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const auto known = load();
    static foreign_file file;
    const auto input = as_text(data, size);
    if (known) {
        read_text(*known, input);
        std::vector<std::uint32_t> ids(size / sizeof(std::uint32_t));
        if (!ids.empty()) std::memcpy(ids.data(), data, ids.size() * sizeof(std::uint32_t));
        (void)known->decode(ids);
    }
    if (input.starts_with('{')) {
        file.write(input);
        text::tokenizer_files files;
        files.tokenizer_json = file.path();
        if (const auto loaded = text::tokenizer::load(files)) read_text(*loaded, "a tree, 7 trees");
        files.tokenizer_json = std::string{folder} + "tokenizer.json";
        files.tokenizer_config = file.path();
        if (const auto loaded = text::tokenizer::load(files)) read_text(*loaded, "a tree, 7 trees");
    }
    return 0;
}

std::vector<std::string> fuzz_seeds() {
    using namespace std::string_literals;
    std::ifstream config{std::string{folder} + "tokenizer_config.json"};
    return {
        "The trees, 12 of them, h\u00e9 \U0001F332 </s><s>",
        "\xff\xfe\xc0\x80 a\0b"s,
        "\x01\0\0\0\x02\0\0\0\xff\xff\xff\xff"s,
        {std::istreambuf_iterator<char>{config}, {}},
        R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[{"id":0,"content":"<s>",)"
        R"("single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}],)"
        R"("normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"Whitespace"},"post_processor":null,)"
        R"("decoder":null,"model":{"type":"WordLevel","vocab":{"<s>":0,"a":1},"unk_token":"<s>"}})",
        R"({"tokenizer_class":"LlamaTokenizer","add_bos_token":true,"add_eos_token":true,)"
        R"("bos_token":"<s>","eos_token":{"content":"</s>"}})",
    };
}
