#include "app/model_parts.hpp"

#include "truffula/api/vision.hpp"

#include <spdlog/spdlog.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

namespace truffula::app {
namespace {

std::string text_of(const std::filesystem::path& file) {
    std::ifstream in{file, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, std::istreambuf_iterator<char>{}};
}

}  // namespace

std::shared_ptr<const api::encoder> load_encoder(const text::model_files& files) {
    constexpr auto consequence =
        "prompt lengths are not checked, and /tokenize and truncate have no effect";
    if (files.tokenizer.tokenizer_json.empty()) {
        spdlog::warn("found no tokenizer.json: {}", consequence);
        return nullptr;
    }
    auto loaded = text::tokenizer::load(files.tokenizer);
    if (!loaded) {
        spdlog::warn("{}: {}", loaded.error().detail, consequence);
        return nullptr;
    }
    spdlog::info("tokenizer of {}", files.tokenizer.tokenizer_json.string());
    return api::make_encoder(std::move(*loaded));
}

std::shared_ptr<const api::vision> load_vision(const text::model_files& files, bool has_encoder) {
    if (files.config.empty()) return nullptr;
    const auto preprocessor = files.config.parent_path() / "preprocessor_config.json";
    auto found = api::vision::read(text_of(files.config), text_of(preprocessor));
    if (!found) {
        spdlog::warn("{}: images in prompts are not read", found.error().detail);
        return nullptr;
    }
    if (*found && !has_encoder) {
        spdlog::warn("without tokenizer images in prompts are not read");
        return nullptr;
    }
    if (*found) spdlog::info("the model reads images");
    return *found;
}

std::optional<text::chat_template> load_chat_template(const text::model_files& files) {
    constexpr auto consequence = "/v1/chat/completions and apply_chat_template are refused";
    auto loaded = text::chat_template::load(files.chat);
    if (!loaded) {
        spdlog::warn("{}: {}", loaded.error().detail, consequence);
        return std::nullopt;
    }
    if (!loaded->has_templates()) spdlog::warn("found no chat template: {}", consequence);
    return std::move(*loaded);
}

result<std::shared_ptr<text::adapter_templates>> open_adapter_templates(
    const std::string& folder, const text::model_files& files) {
    if (folder.empty()) return std::shared_ptr<text::adapter_templates>{};
    std::error_code ec;
    if (!std::filesystem::is_directory(folder, ec)) {
        return error{
            errc::invalid_config,
            "adapters.local_adapter_folder: " + folder + " is no folder on this machine"};
    }
    spdlog::info("chat templates of local adapters are read in {}", folder);
    return std::make_shared<text::adapter_templates>(folder, files.chat);
}

}  // namespace truffula::app
