#pragma once

#include "truffula/error/error.hpp"
#include "truffula/text/chat_template.hpp"

#include <cstddef>
#include <filesystem>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace truffula::text {

/// The chat templates of adapters that lie in one folder of this machine. Those used last are kept,
/// and read again when their files have changed. \threads any.
class adapter_templates {
public:
    /// \param root folder of the adapters; nothing outside of it is read.
    /// \param base files of the base model: adapters without special tokens of their own have its.
    /// \param capacity how many adapters are kept.
    adapter_templates(
        std::filesystem::path root, const chat_template_files& base, std::size_t capacity = 64);

    /// The templates of the adapter `id`: a path, absolute or from the root. Nothing if it has
    /// none, or does not lie below the root once links and `..` are followed. Looks at files:
    /// not for threads that must not wait.
    ///
    /// \errors `errc::template_error` with what is wrong in a file.
    result<std::optional<chat_template>> find(const std::string& id);

private:
    using loaded = result<std::optional<chat_template>>;
    struct kept {
        std::filesystem::path folder;
        std::string state;  ///< Of its files, when they were read.
        loaded what;
    };

    std::optional<std::filesystem::path> folder_of(const std::string& id) const;
    chat_template_files files_of(const std::filesystem::path& folder) const;
    loaded load(const chat_template_files& files) const;
    bool is_below(const std::filesystem::path& path) const;

    std::filesystem::path root_;
    std::vector<std::filesystem::path> base_tokens_;
    std::size_t capacity_;
    std::mutex mutex_;
    std::list<kept> kept_;  // used last: first
};

}  // namespace truffula::text
