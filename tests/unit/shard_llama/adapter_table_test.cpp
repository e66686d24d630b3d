#include "fakes.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <string>

using namespace truffula;
using namespace truffula::shard_llama;

namespace {

/// `sub` is no file, `broken` not readable; the table's memory is 1024 bytes.
struct world {
    world() { std::filesystem::create_directories(folder.path / "sub.gguf"); }

    static result<adapter> read(const std::filesystem::path& file) {
        if (file.stem() == "broken") return error{errc::validation, "bad magic"};
        return fake_weights();
    }

    adapter_folder folder{"good", "other", "broken"};
    adapter_table table{read, folder.path, 1024};
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
