#include "truffula/text/model_files.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

namespace truffula::text {
namespace {

namespace fs = std::filesystem;
using environment_map = std::map<std::string, std::string>;

fs::path existing(fs::path file) {
    std::error_code ec;
    return fs::is_regular_file(file, ec) ? std::move(file) : fs::path{};
}

fs::path hub_cache(const environment_map& environment) {
    const auto value = [&](const char* name) {
        const auto found = environment.find(name);
        return found == environment.end() ? fs::path{} : fs::path{found->second};
    };
    for (const auto* name : {"HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE"}) {
        if (auto path = value(name); !path.empty()) return path;
    }
    if (const auto home = value("HF_HOME"); !home.empty()) return home / "hub";
    return value("HOME") / ".cache" / "huggingface" / "hub";
}

/// `organisation/model` as the cache names its folder.
std::string cache_folder(std::string_view name) {
    std::string folder = "models--";
    for (const auto c : name) {
        if (c == '/') {
            folder += "--";
        } else {
            folder += c;
        }
    }
    return folder;
}

/// The commit that a revision stands for: what `refs` says, or the revision itself.
std::string commit_of(const fs::path& model, const std::string& revision) {
    std::ifstream file{model / "refs" / revision};
    std::string commit;
    return file >> commit ? commit : revision;
}

struct model_folder {
    fs::path path;
    std::optional<std::string> sha;
};

/// `name` itself if it is a directory, else its snapshot in the cache, there or not.
model_folder folder_of(
    const std::string& name, const std::string& revision, const environment_map& environment) {
    std::error_code ec;
    if (fs::is_directory(name, ec)) return {name, std::nullopt};
    const auto model = hub_cache(environment) / cache_folder(name);
    const auto commit = commit_of(model, revision);
    auto path = model / "snapshots" / commit;
    if (!fs::is_directory(path, ec)) return {std::move(path), std::nullopt};
    return {std::move(path), commit};
}

/// The model that this one was made from, as its `config.json` says; empty: it does not.
std::string base_model(const fs::path& config) {
    std::ifstream file{config};
    const auto json = nlohmann::json::parse(file, nullptr, false);
    if (!json.is_object()) return {};
    const auto found = json.find("base_model_name_or_path");
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

}  // namespace

chat_template_files find_chat_template_files(const fs::path& folder) {
    chat_template_files files;
    files.tokenizer_config = existing(folder / "tokenizer_config.json");
    files.chat_template_json = existing(folder / "chat_template.json");
    if (auto file = existing(folder / "chat_template.jinja"); !file.empty()) {
        files.jinja.push_back(std::move(file));
    }
    if (auto file = existing(folder / "special_tokens_map.json"); !file.empty()) {
        files.special_tokens.push_back(std::move(file));
    }
    std::error_code ec;
    for (fs::directory_iterator at{folder / "additional_chat_templates", ec}, end; at != end;
         at.increment(ec)) {
        if (ec) break;
        if (at->path().extension() != ".jinja") continue;
        if (auto file = existing(at->path()); !file.empty()) files.jinja.push_back(std::move(file));
    }
    std::sort(files.jinja.begin(), files.jinja.end());
    return files;
}

model_files find_model_files(
    const std::string& name,
    const std::string& revision,
    const std::string& tokenizer_config,
    const environment_map& environment) {
    constexpr auto usual_revision = "main";
    model_files files;
    auto found = folder_of(name, revision.empty() ? usual_revision : revision, environment);
    files.folder = std::move(found.path);
    files.sha = std::move(found.sha);
    const auto& folder = files.folder;
    files.tokenizer.tokenizer_json = existing(folder / "tokenizer.json");
    files.tokenizer.tokenizer_config = tokenizer_config.empty()
                                           ? existing(folder / "tokenizer_config.json")
                                           : existing(tokenizer_config);
    files.chat = find_chat_template_files(folder);
    files.chat.tokenizer_config = files.tokenizer.tokenizer_config;
    files.config = existing(folder / "config.json");
    if (!files.tokenizer.tokenizer_json.empty() || files.config.empty()) return files;
    if (const auto base = base_model(files.config); !base.empty()) {
        const auto other = folder_of(base, usual_revision, environment).path;
        files.tokenizer.tokenizer_json = existing(other / "tokenizer.json");
    }
    return files;
}

}  // namespace truffula::text
