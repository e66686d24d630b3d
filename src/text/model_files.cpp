#include "truffula/text/model_files.hpp"

#include <algorithm>
#include <fstream>
#include <string_view>
#include <system_error>

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
    model_files files;
    fs::path folder = name;
    std::error_code ec;
    if (!fs::is_directory(folder, ec)) {
        const auto model = hub_cache(environment) / cache_folder(name);
        const auto commit = commit_of(model, revision.empty() ? "main" : revision);
        folder = model / "snapshots" / commit;
        if (fs::is_directory(folder, ec)) files.sha = commit;
    }
    files.tokenizer.tokenizer_json = existing(folder / "tokenizer.json");
    files.tokenizer.tokenizer_config = tokenizer_config.empty()
                                           ? existing(folder / "tokenizer_config.json")
                                           : existing(tokenizer_config);
    files.chat = find_chat_template_files(folder);
    files.chat.tokenizer_config = files.tokenizer.tokenizer_config;
    files.config = existing(folder / "config.json");
    return files;
}

}  // namespace truffula::text
