#pragma once

#include "truffula/text/chat_template.hpp"
#include "truffula/text/tokenizer.hpp"

#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace truffula::text {

/// What is known of a model on this machine. Paths are empty where there is no such file.
struct model_files {
    std::filesystem::path folder;  ///< Where they were looked for.
    tokenizer_files tokenizer;
    chat_template_files chat;
    std::filesystem::path config;    ///< `config.json`.
    std::optional<std::string> sha;  ///< Revision; of the Hugging Face cache only.
};

/// The chat template files of a folder; those that are not there stay empty.
///
/// \threads any.
chat_template_files find_chat_template_files(const std::filesystem::path& folder);

/// Looks for a model's files: in `name` if that is a directory, else in the local Hugging Face
/// cache (contract section 3, step 3; nothing is downloaded). Without a `tokenizer.json` there it
/// is that of the model which `config.json` names in `base_model_name_or_path`.
///
/// \param name directory or `organisation/model`.
/// \param revision branch, tag or commit; empty: `main`.
/// \param tokenizer_config used instead of the model's `tokenizer_config.json` unless empty.
/// \param environment tells the cache: `HUGGINGFACE_HUB_CACHE`, `HF_HUB_CACHE`, `HF_HOME`, else
///        `~/.cache/huggingface/hub`.
/// \threads any.
model_files find_model_files(
    const std::string& name,
    const std::string& revision,
    const std::string& tokenizer_config,
    const std::map<std::string, std::string>& environment);

}  // namespace truffula::text
