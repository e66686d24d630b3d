#include "truffula/text/adapter_templates.hpp"

#include "truffula/text/model_files.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

namespace truffula::text {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> all_of(const chat_template_files& files) {
    std::vector<fs::path> all{files.tokenizer_config, files.chat_template_json};
    all.insert(all.end(), files.jinja.begin(), files.jinja.end());
    all.insert(all.end(), files.special_tokens.begin(), files.special_tokens.end());
    std::erase(all, fs::path{});
    return all;
}

/// Changes whenever a file does, comes or goes.
std::string state_of(const chat_template_files& files) {
    std::string state;
    std::error_code ec;
    for (const auto& file : all_of(files)) {
        const auto written = fs::last_write_time(file, ec).time_since_epoch().count();
        state += file.string() + ' ' + std::to_string(written) + ' ' +
                 std::to_string(fs::file_size(file, ec)) + '\n';
    }
    return state;
}

/// Clients need not know where on this machine a folder is.
std::string without(std::string words, const std::string& prefix) {
    for (auto at = words.find(prefix); at != words.npos; at = words.find(prefix, at)) {
        words.erase(at, prefix.size());
    }
    return words;
}

}  // namespace

adapter_templates::adapter_templates(
    fs::path root, const chat_template_files& base, std::size_t capacity)
    : root_(fs::weakly_canonical(root)), base_tokens_(base.special_tokens), capacity_(capacity) {
    if (!base.tokenizer_config.empty()) {
        base_tokens_.insert(base_tokens_.begin(), base.tokenizer_config);
    }
}

result<std::optional<chat_template>> adapter_templates::find(const std::string& id) {
    const auto folder = folder_of(id);
    if (!folder) return std::optional<chat_template>{};
    const auto files = files_of(*folder);
    auto state = state_of(files);
    {
        const std::lock_guard lock{mutex_};
        const auto same = [&](const kept& k) { return k.folder == *folder; };
        if (const auto at = std::ranges::find_if(kept_, same); at != kept_.end()) {
            kept_.splice(kept_.begin(), kept_, at);
            if (kept_.front().state == state) return kept_.front().what;
            kept_.pop_front();
        }
    }
    auto what = load(files);
    const std::lock_guard lock{mutex_};
    kept_.push_front({*folder, std::move(state), what});
    if (kept_.size() > capacity_) kept_.pop_back();
    return what;
}

std::optional<fs::path> adapter_templates::folder_of(const std::string& id) const {
    constexpr std::size_t longest = 1024;
    const auto is_control = [](unsigned char c) { return c < 0x20; };
    if (id.size() > longest || std::ranges::any_of(id, is_control)) return std::nullopt;
    std::error_code ec;
    auto folder = fs::canonical(root_ / id, ec);  // an absolute id stands alone
    if (ec || !is_below(folder) || !fs::is_directory(folder, ec)) return std::nullopt;
    return folder;
}

bool adapter_templates::is_below(const fs::path& path) const {
    const auto [end, at] = std::ranges::mismatch(root_, path);
    return end == root_.end() && at != path.end();
}

chat_template_files adapter_templates::files_of(const fs::path& folder) const {
    auto files = find_chat_template_files(folder);
    const auto leaves = [this](const fs::path& file) {
        std::error_code ec;
        const auto real = fs::canonical(file, ec);
        return ec || !is_below(real);
    };
    for (auto* one : {&files.tokenizer_config, &files.chat_template_json}) {
        if (leaves(*one)) one->clear();
    }
    std::erase_if(files.jinja, leaves);
    std::erase_if(files.special_tokens, leaves);
    return files;
}

adapter_templates::loaded adapter_templates::load(const chat_template_files& files) const {
    auto with_base = files;
    auto& tokens = with_base.special_tokens;
    tokens.insert(tokens.end(), base_tokens_.begin(), base_tokens_.end());
    auto read = chat_template::load(with_base);
    if (!read) {
        const auto prefix = (root_ / "").string();
        return error{errc::template_error, without(read.error().detail, prefix)};
    }
    if (!read->has_templates()) return std::optional<chat_template>{};
    return std::optional{std::move(*read)};
}

}  // namespace truffula::text
