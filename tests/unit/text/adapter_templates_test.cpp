#include "truffula/text/adapter_templates.hpp"

#include "support/run_coro.hpp"
#include "support/scratch_folder.hpp"
#include "truffula/text/model_files.hpp"
#include "truffula/text/tokenizer.hpp"

#include <catch2/catch.hpp>

using namespace truffula;
namespace fs = std::filesystem;

namespace {

/// What the adapter `id` makes of a conversation; empty: it has no template.
std::string rendered(text::adapter_templates& all, const std::string& id) {
    const auto found = all.find(id);
    INFO((found ? std::string{} : found.error().detail));
    REQUIRE(found);
    if (!*found) return {};
    text::chat_prompt prompt;
    prompt.messages = R"([{"role":"user","content":"x"}])";
    const auto text = (*found)->render(prompt);
    REQUIRE(text);
    return *text;
}

/// Writes a file that is as old as the one that was there.
void write_unnoticed(const fs::path& file, const std::string& text) {
    const auto before = fs::last_write_time(file);
    std::ofstream{file} << text;
    fs::last_write_time(file, before);
}

}  // namespace

TEST_CASE("adapter templates: an adapter's own, with the base model's tokens", "[text]") {
    if (!text::tokenizer::available()) return;
    const scratch_folder root;
    const scratch_folder base;
    base.write("tokenizer_config.json", R"({"bos_token":"<b>","chat_template":"base"})");
    base.write("special_tokens_map.json", R"({"bos_token":"<no>","eos_token":"</b>"})");
    fs::create_directories(root.path() / "org" / "a");
    fs::create_directories(root.path() / "bare");
    root.write("org/a/chat_template.jinja", "{{ bos_token }}a{{ eos_token }}");
    text::adapter_templates all{root.path(), text::find_chat_template_files(base.path())};
    CHECK(rendered(all, "org/a") == "<b>a</b>");
    CHECK(rendered(all, (root.path() / "org" / "a").string()) == "<b>a</b>");
    root.write("org/a/special_tokens_map.json", R"({"eos_token":{"content":"</a>"}})");
    CHECK(rendered(all, "org/a") == "<b>a</a>");
    CHECK(rendered(all, "bare").empty());
    CHECK(rendered(all, "nowhere").empty());
}

TEST_CASE("adapter templates: nothing outside of the folder is read", "[text]") {
    if (!text::tokenizer::available()) return;
    const scratch_folder top;
    for (const auto* name : {"root/in", "root/links", "root-b", "out"}) {
        fs::create_directories(top.path() / name);
    }
    for (const auto* name : {"root", "root/in", "root-b", "out"}) {
        top.write(std::string{name} + "/chat_template.jinja", name);
    }
    const auto root = top.path() / "root";
    fs::create_symlink(top.path() / "out", root / "linked");
    fs::create_symlink(
        top.path() / "out" / "chat_template.jinja", root / "links" / "chat_template.jinja");
    fs::create_symlink(root / "in", root / "alias");
    text::adapter_templates all{root, {}};
    CHECK(rendered(all, "in") == "root/in");
    CHECK(rendered(all, "alias") == "root/in");
    CHECK(rendered(all, "./links/../in") == "root/in");
    const auto outside = (top.path() / "out").string();
    for (const auto& id :
         {std::string{"../out"},
          std::string{"in/../../out"},
          outside,
          root.string() + "-b",
          std::string{"linked"},
          std::string{"links"},
          std::string{"."},
          std::string{},
          std::string{"in\n"},
          std::string("in\0", 3),
          std::string(5000, 'a'),
          std::string{"/"}}) {
        INFO(id);
        CHECK(rendered(all, id).empty());
    }
}

TEST_CASE("adapter templates: changes on disk are noticed, what did not change is kept", "[text]") {
    if (!text::tokenizer::available()) return;
    const scratch_folder root;
    for (const auto* name : {"a", "b", "c"}) {
        fs::create_directories(root.path() / name);
        root.write(std::string{name} + "/chat_template.jinja", name);
    }
    constexpr std::size_t capacity = 2;
    text::adapter_templates all{root.path(), {}, capacity};
    const auto file = root.path() / "a" / "chat_template.jinja";
    CHECK(rendered(all, "a") == "a");
    write_unnoticed(file, "A");
    CHECK(rendered(all, "a") == "a");
    CHECK(rendered(all, "b") == "b");
    CHECK(rendered(all, "a") == "a");  // used last, now
    CHECK(rendered(all, "c") == "c");  // in the place of b
    CHECK(rendered(all, "a") == "a");
    CHECK(rendered(all, "b") == "b");
    CHECK(rendered(all, "c") == "c");
    CHECK(rendered(all, "a") == "A");  // was forgotten, so read again
    root.write("a/chat_template.jinja", "longer");
    CHECK(rendered(all, "a") == "longer");
    fs::remove(file);
    CHECK(rendered(all, "a").empty());
}

TEST_CASE("adapter templates: a broken one says what is wrong, not where the folder is", "[text]") {
    if (!text::tokenizer::available()) return;
    const scratch_folder root;
    fs::create_directories(root.path() / "a");
    root.write("a/chat_template.jinja", "{% if %}");
    text::adapter_templates all{root.path(), {}};
    for (int i = 0; i < 2; ++i) {
        const auto found = all.find("a");
        REQUIRE(found.has_error());
        CHECK(found.error().code == errc::template_error);
        CHECK(found.error().detail.starts_with("a/chat_template.jinja: chat template `default`: "));
    }
    root.write("a/chat_template.jinja", "mended");
    CHECK(rendered(all, "a") == "mended");
}
