#include "truffula/text/tokenizer.hpp"

#include "support/run_coro.hpp"

#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace truffula;
using ids = std::vector<std::uint32_t>;

namespace {

const std::filesystem::path folder = std::filesystem::path{TEST_DATA_DIR} / "tokenizer";

text::tokenizer load(bool with_config = true) {
    text::tokenizer_files files;
    files.tokenizer_json = folder / "tokenizer.json";
    if (with_config) files.tokenizer_config = folder / "tokenizer_config.json";
    auto loaded = text::tokenizer::load(files);
    REQUIRE(loaded);
    return *loaded;
}

/// A file that lives as long as the test.
class scratch_file {
public:
    explicit scratch_file(const std::string& text) { std::ofstream{path_} << text; }
    ~scratch_file() { std::filesystem::remove(path_); }
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_ = std::filesystem::temp_directory_path() /
                                  ("truffula-text-test-" + std::to_string(::getpid()));
};

}  // namespace

// The ids are those of the Python package `tokenizers` for the same file.
TEST_CASE("tokenizer: the ids of the library itself", "[text]") {
    if (!text::tokenizer::available()) return;
    const auto t = load();
    CHECK(*t.encode("The river sings.", false) == ids{533, 71, 521, 513, 16});
    CHECK(*t.encode("été in Zürich 東京", false) == ids{305, 376, 480, 223, 60, 408, 531});
    CHECK(*t.encode("<s>hi</s>", false) == ids{1, 330, 2});
    CHECK(t.encode("", false)->empty());
}

TEST_CASE("tokenizer: ids become their text, special tokens included", "[text]") {
    if (!text::tokenizer::available()) return;
    const auto t = load();
    for (const std::string text : {"The river sings.", "été in Zürich 東京", ""}) {
        CHECK(*t.decode(*t.encode(text, false)) == text);
    }
    CHECK(t.decode(ids{1, 330})->find("<s>") == 0);
    const auto unknown = t.decode(ids{330, 4'000'000'000U});
    REQUIRE(unknown.has_error());
    CHECK(unknown.error().detail.find("4000000000") != std::string::npos);
}

TEST_CASE("tokenizer: special tokens as the class says", "[text]") {
    if (!text::tokenizer::available()) return;
    CHECK(*load().encode("hi", true) == ids{1, 330});
    CHECK(*load().encode("", true) == ids{1});
    CHECK(*load(false).encode("hi", true) == ids{330});
}

TEST_CASE("tokenizer: spans count characters, offsets bytes", "[text]") {
    if (!text::tokenizer::available()) return;
    const auto t = load();
    const std::string text = "été in 東京";
    const auto spans = t.spans(text, false);
    REQUIRE(spans);
    CHECK(spans->back().start == 6);
    CHECK(spans->back().stop == 9);
    CHECK(spans->back().text == "ĠæĿ±äº¬");
    const auto at = t.byte_offset(text, false, spans->size() - 1);
    REQUIRE(at);
    CHECK(text.substr(*at) == " 東京");
    CHECK(*t.byte_offset(text, false, spans->size()) == text.size());
    CHECK(*t.byte_offset(text, false, 1000) == text.size());
    CHECK(*t.byte_offset(text, false, 0) == 0);
    // The special token in front is empty: skipping it cuts nothing.
    CHECK(*t.byte_offset(text, true, 1) == 0);
}

TEST_CASE("tokenizer: bytes that are no text are an error", "[text]") {
    if (!text::tokenizer::available()) return;
    const auto t = load();
    const auto got = t.encode("a\xff", false);
    REQUIRE(got.has_error());
    CHECK(got.error().code == errc::validation);
    CHECK(t.spans("\xed\xa0\x80", false).has_error());
    CHECK(t.byte_offset("\xc3", false, 0).has_error());
    CHECK(t.encode(std::string_view{"a\0b", 3}, false)->size() == 3);
}

TEST_CASE("tokenizer: a long text", "[text]") {
    if (!text::tokenizer::available()) return;
    std::string text;
    while (text.size() < 1'000'000) text += "The river sings. ";
    const auto got = load().encode(text, false);
    REQUIRE(got);
    CHECK(got->size() > 200'000);
}

TEST_CASE("tokenizer: files that are none name themselves", "[text]") {
    if (!text::tokenizer::available()) return;
    text::tokenizer_files files;
    files.tokenizer_json = "/nowhere/tokenizer.json";
    const auto missing = text::tokenizer::load(files);
    REQUIRE(missing.has_error());
    CHECK(missing.error().code == errc::io);
    CHECK(missing.error().detail.find("/nowhere/tokenizer.json") != std::string::npos);

    const scratch_file broken{"{\"model\": 3"};
    files.tokenizer_json = broken.path();
    CHECK(text::tokenizer::load(files).has_error());
}

TEST_CASE("tokenizer: a special token that the vocabulary has not", "[text]") {
    if (!text::tokenizer::available()) return;
    const scratch_file config{R"({"tokenizer_class": "LlamaTokenizer", "bos_token": "<absent>"})"};
    text::tokenizer_files files;
    files.tokenizer_json = folder / "tokenizer.json";
    files.tokenizer_config = config.path();
    const auto got = text::tokenizer::load(files);
    REQUIRE(got.has_error());
    CHECK(got.error().detail.find("<absent>") != std::string::npos);
}
