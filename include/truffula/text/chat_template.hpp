#pragma once

#include "truffula/error/error.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::text {

/// Which files a model's chat templates come from; each may be missing. Where two give a template
/// of one name, the later in this list wins.
struct chat_template_files {
    std::filesystem::path tokenizer_config;    ///< `chat_template`, and the special tokens.
    std::filesystem::path chat_template_json;  ///< `chat_template`.
    /// `chat_template.jinja` is `default`; any other file is named after its stem.
    std::vector<std::filesystem::path> jinja;
    /// JSON files with special tokens (`special_tokens_map.json`) that `tokenizer_config` lacks, or
    /// leaves `null`; of two that have one, the first counts.
    std::vector<std::filesystem::path> special_tokens;
};

/// What a chat template makes a prompt of. JSON texts are UTF-8; their keys keep their order.
struct chat_prompt {
    /// JSON array. A `content` is given to the template as it is: a text, or a list of parts for
    /// templates that read parts. The `arguments` of tool calls may be a JSON text, as OpenAI's
    /// clients send them, or an object: the template gets what it can read.
    std::string messages;
    std::string tools;      ///< JSON array; empty: none.
    std::string documents;  ///< JSON array; empty: none.
    /// JSON object (`chat_template_kwargs`); empty: none. It must not name what has a field here.
    std::string arguments;
    std::optional<std::string> guideline;
    bool add_generation_prompt = true;
    /// The last message stays open: what follows continues it. Excludes `add_generation_prompt`.
    bool continue_final_message = false;
    /// Empty: `tool_use` when there are tools and there is such a template, else `default`.
    std::string template_name;
    /// What `strftime_now` in a template says.
    std::chrono::system_clock::time_point now;
};

/// The chat templates of one model, rendered as transformers' `apply_chat_template` does. Copies
/// share one handle. \threads any.
///
/// A rendering executes at most 10 million instructions, and writes at most 16 MiB. Templates come
/// from a model's own files, and are trusted with memory as the model is: never load one that a
/// client sent.
class chat_template {
public:
    /// Reads and compiles the templates. Files without any give an object that refuses to render.
    ///
    /// \errors `errc::io` with the file, and what is wrong in it; `errc::no_tokenizer` in a build
    /// without tokenizer.
    static result<chat_template> load(const chat_template_files& files);

    /// The prompt's text.
    ///
    /// \errors `errc::template_error` with the template's own words (`raise_exception`) or what
    /// it does wrong; `errc::missing_template_variable` when it reads `guideline` and there is
    /// none.
    result<std::string> render(const chat_prompt& prompt) const;

    /// False: there is no template at all.
    bool has_templates() const noexcept;

    /// Does the template of this name (as `chat_prompt::template_name`, with tools) read `tools`?
    /// One that does not needs them in a message. False for an unknown name.
    bool uses_tools(std::string_view name) const;

    /// The same for `guideline`.
    bool uses_guideline(std::string_view name) const;

private:
    struct handle;
    explicit chat_template(std::shared_ptr<const handle> h) : handle_(std::move(h)) {}
    std::shared_ptr<const handle> handle_;
};

}  // namespace truffula::text
