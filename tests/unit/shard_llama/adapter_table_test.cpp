#include "fakes.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace truffula;
using namespace truffula::shard_llama;

namespace {

/// A folder with `good.gguf` of 512 bytes and `broken.gguf`; the table's memory is 1024 bytes.
struct world {
    world() {
        std::filesystem::create_directories(folder / "sub.gguf");
        std::ofstream{folder / "good.gguf"} << std::string(512, 'x');
        std::ofstream{folder / "other.gguf"} << 'x';
        std::ofstream{folder / "broken.gguf"} << 'x';
    }
    ~world() { std::filesystem::remove_all(folder); }
    world(const world&) = delete;
    world& operator=(const world&) = delete;

    static result<adapter> read(const std::filesystem::path& file) {
        if (file.stem() == "broken") return error{errc::validation, "bad magic"};
        return fake_weights();
    }

    std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("truffula-adapters-" + std::to_string(getpid()));
    adapter_table table{read, folder, 1024};
};

}  // namespace

TEST_CASE("adapter_table: check tells the share of the memory", "[shard_llama]") {
    world w;
    CHECK(*w.table.check("good") == Approx(0.5F));
    CHECK(*w.table.check(std::string{base_model_id}) == 0.0F);
}

TEST_CASE("adapter_table: a wrong file is an error that names it", "[shard_llama]") {
    world w;
    CHECK(w.table.check("broken").error().detail == "adapter 'broken': bad magic");
    CHECK(w.table.load("broken", 1).error().detail == "adapter 'broken': bad magic");
    CHECK(w.table.check("nobody").error().detail == "adapter 'nobody' not found");
    CHECK_FALSE(w.table.check("sub"));  // a folder
    CHECK_FALSE(w.table.at(1));
}

TEST_CASE("adapter_table: ids are plain names", "[shard_llama]") {
    world w;
    const auto* id = GENERATE("", ".", "..", "../good", "/etc/passwd", "a/b", "good/", ".good");
    const auto refused = w.table.check(id);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::validation);
    CHECK(refused.error().detail.find("is not a plain name") != std::string::npos);
}

TEST_CASE("adapter_table: an index holds one adapter until offloaded", "[shard_llama]") {
    world w;
    CHECK_FALSE(w.table.load("good", 0));
    REQUIRE(w.table.load("good", 3));
    const auto weights = *w.table.at(3);
    CHECK(weights);
    CHECK(w.table.load("good", 3));
    CHECK(*w.table.at(3) == weights);
    CHECK_FALSE(w.table.load("other", 3));
    CHECK(w.table.offload(3));
    CHECK_FALSE(w.table.offload(3));
    CHECK_FALSE(w.table.at(3));
    CHECK(weights.use_count() == 1);  // ours: who runs with it keeps it
    CHECK(w.table.load("other", 3));
    CHECK(*w.table.at(0) == nullptr);
}
