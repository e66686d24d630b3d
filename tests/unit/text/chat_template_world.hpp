#pragma once

#include "support/run_coro.hpp"
#include "support/scratch_folder.hpp"
#include "truffula/text/chat_template.hpp"
#include "truffula/text/model_files.hpp"
#include "truffula/text/tokenizer.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>

namespace truffula::test {

inline text::chat_template load(const std::filesystem::path& folder) {
    auto loaded = text::chat_template::load(text::find_chat_template_files(folder));
    INFO((loaded ? std::string{} : loaded.error().detail));
    REQUIRE(loaded);
    return *loaded;
}

/// A model whose only template is `source`.
inline text::chat_template with(const std::string& source) {
    const scratch_folder folder;
    const nlohmann::ordered_json config{{"chat_template", source}, {"bos_token", "<s>"}};
    folder.write("tokenizer_config.json", config.dump());
    return load(folder.path());
}

inline text::chat_prompt say(const std::string& text) {
    text::chat_prompt prompt;
    prompt.messages = nlohmann::ordered_json::array({{{"role", "user"}, {"content", text}}}).dump();
    return prompt;
}

/// What goes wrong with `prompt`.
inline error failure(const std::string& source, const text::chat_prompt& prompt) {
    const auto got = with(source).render(prompt);
    REQUIRE(got.has_error());
    return got.error();
}

}  // namespace truffula::test
