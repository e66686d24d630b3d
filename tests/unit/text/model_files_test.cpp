#include "truffula/text/model_files.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>

using namespace truffula;
namespace fs = std::filesystem;

namespace {

/// A cache as huggingface_hub lays it out, with one model.
class cache {
public:
    cache() {
        const auto model = root() / "models--org--name";
        fs::create_directories(model / "refs");
        fs::create_directories(model / "snapshots" / "abc");
        fs::create_directories(model / "snapshots" / "def");
        std::ofstream{model / "refs" / "main"} << "abc";
        std::ofstream{model / "snapshots" / "abc" / "tokenizer.json"} << "{}";
        std::ofstream{model / "snapshots" / "def" / "config.json"} << "{}";
    }
    ~cache() { fs::remove_all(root()); }
    fs::path root() const { return fs::temp_directory_path() / "truffula-cache-test"; }
};

}  // namespace

TEST_CASE("model files: of a directory", "[text]") {
    const auto folder = std::string{TEST_DATA_DIR} + "/tokenizer";
    const auto files = text::find_model_files(folder, "", "", {});
    CHECK(files.tokenizer.tokenizer_json == fs::path{folder} / "tokenizer.json");
    CHECK(files.tokenizer.tokenizer_config == fs::path{folder} / "tokenizer_config.json");
    CHECK(files.config == fs::path{folder} / "config.json");
    CHECK_FALSE(files.sha);
    const auto other = text::find_model_files(folder, "", folder + "/config.json", {});
    CHECK(other.tokenizer.tokenizer_config == fs::path{folder} / "config.json");
    const auto none = text::find_model_files(folder, "", "/nowhere.json", {});
    CHECK(none.tokenizer.tokenizer_config.empty());
}

TEST_CASE("model files: of the local cache", "[text]") {
    const cache hub;
    const auto home = hub.root().string();
    for (const auto* variable : {"HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE"}) {
        const auto files = text::find_model_files("org/name", "", "", {{variable, home}});
        CHECK(files.sha == "abc");
        CHECK(files.tokenizer.tokenizer_json.filename() == "tokenizer.json");
        CHECK(files.config.empty());
    }
    const auto commit = text::find_model_files("org/name", "def", "", {{"HF_HUB_CACHE", home}});
    CHECK(commit.sha == "def");
    CHECK(commit.tokenizer.tokenizer_json.empty());
    CHECK_FALSE(commit.config.empty());
    const auto unknown = text::find_model_files("org/other", "", "", {{"HF_HUB_CACHE", home}});
    CHECK(unknown.tokenizer.tokenizer_json.empty());
    CHECK_FALSE(unknown.sha);
}
