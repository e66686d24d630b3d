#include "truffula/text/model_files.hpp"

#include "support/scratch_folder.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>

using namespace truffula;
namespace fs = std::filesystem;
using config_map = std::map<std::string, std::string>;

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
    fs::path root() const { return folder_.path(); }
    fs::path snapshot(const std::string& commit) const {
        return root() / "models--org--name" / "snapshots" / commit;
    }

private:
    scratch_folder folder_;
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

TEST_CASE("model files: without a tokenizer it is the base model's", "[text]") {
    const cache hub;
    const scratch_folder own;
    const config_map environment{{"HF_HUB_CACHE", hub.root().string()}};
    const auto find = [&] {
        return text::find_model_files(own.path().string(), "", "", environment).tokenizer;
    };
    CHECK(find().tokenizer_json.empty());
    for (const auto* other :
         {"[",
          "[]",
          "{}",
          R"({"base_model_name_or_path": 7})",
          R"({"base_model_name_or_path": "org/other"})"}) {
        own.write("config.json", other);
        INFO(other);
        CHECK(find().tokenizer_json.empty());
    }
    own.write("config.json", R"({"base_model_name_or_path": "org/name"})");
    CHECK(find().tokenizer_json == hub.snapshot("abc") / "tokenizer.json");
    own.write("tokenizer.json", "{}");
    CHECK(find().tokenizer_json == own.path() / "tokenizer.json");
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
    CHECK(commit.folder == hub.snapshot("def"));
    CHECK(commit.tokenizer.tokenizer_json.empty());
    CHECK_FALSE(commit.config.empty());
    const auto unknown = text::find_model_files("org/other", "", "", {{"HF_HUB_CACHE", home}});
    CHECK(unknown.tokenizer.tokenizer_json.empty());
    CHECK_FALSE(unknown.sha);
    // Where somebody would have to put it.
    CHECK(unknown.folder == hub.root() / "models--org--other" / "snapshots" / "main");
}
