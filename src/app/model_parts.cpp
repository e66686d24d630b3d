#include "app/model_parts.hpp"

#include "truffula/api/vision.hpp"
#include "truffula/config/load.hpp"

#include <spdlog/spdlog.h>

#include <chrono>
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

text::model_files find_files(const config::settings& s) {
    const auto& t = s.text;
    auto files = text::find_model_files(
        t.tokenizer_name, t.revision, t.tokenizer_config_path, config::current_environment());
    if (!t.tokenizer_config_path.empty() && files.tokenizer.tokenizer_config.empty()) {
        spdlog::warn(
            "text.tokenizer_config_path: {} is no file: the model is taken to have none",
            t.tokenizer_config_path);
    }
    return files;
}

std::shared_ptr<const api::encoder> load_encoder(const text::model_files& files) {
    constexpr auto consequence =
        "prompt lengths are not checked, and /tokenize and truncate have no effect";
    if (files.tokenizer.tokenizer_json.empty()) {
        spdlog::warn("found no tokenizer.json in {}: {}", files.folder.string(), consequence);
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

result<std::shared_ptr<http::fetcher>> make_image_fetcher(const config::settings& s) {
    const auto& of = s.server;
    auto rules = http::outbound_rules::read(of.remote_image_hosts, of.remote_image_networks);
    if (!rules) {
        const auto what = "server.remote_image_hosts and remote_image_networks: ";
        return error{errc::invalid_config, what + rules.error().detail};
    }
    if (rules->is_empty()) return std::shared_ptr<http::fetcher>{};
    return std::make_shared<http::fetcher>(std::move(*rules));
}

api::image_fetching image_fetching(
    const config::settings& s, std::shared_ptr<http::fetcher> by, telemetry::registry& metrics) {
    constexpr auto name = "truffula_image_fetches";
    auto* const fetched = &metrics.counter(name, {{"outcome", "fetched"}});
    auto* const failed = &metrics.counter(name, {{"outcome", "failed"}});
    api::image_fetching how;
    how.by = std::move(by);
    how.max_bytes = s.server.remote_image_max_bytes;
    how.timeout = std::chrono::seconds{s.server.remote_image_timeout_s};
    how.counted = [=](bool is_fetched) { (is_fetched ? fetched : failed)->Increment(); };
    return how;
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
