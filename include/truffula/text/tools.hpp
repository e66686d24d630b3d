#pragma once

#include "truffula/error/error.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::text {

/// Which tools a model may call.
struct tool_choice {
    enum class kind : std::uint8_t {
        automatic,  ///< Any, or an answer in words.
        none,       ///< None: nothing is constrained.
        required,   ///< Any, but one of them.
        named,      ///< This one.
    };
    kind what = kind::automatic;
    std::string name;  ///< Of the tool, for `named`.
};

/// The tools of one request, checked. Built once; \threads any may read it.
class tool_set {
public:
    static constexpr std::size_t max_tools = 128;
    static constexpr std::size_t max_name = 64;

    /// Reads the `tools` of a chat request, a JSON array, with what the request chose.
    ///
    /// \errors `errc::tool_error`, naming the field (`tools[1].function.name`): no function, a name
    /// that is empty, longer than 64, of other characters than `a-z A-Z 0-9 _ . -`, twice there or
    /// `no_tool`; `parameters` that are no JSON schema of an object (`check_schema`); more than 128
    /// tools; a choice of a tool that is not there, or of any where there are none.
    static result<tool_set> read(std::string_view tools, const tool_choice& choice);

    /// What constrains the reply (contract section 11): compact JSON, tools in the order sent and
    /// `no_tool` last. Empty: nothing does, since the choice is `none` or there are no tools.
    const std::string& schema() const noexcept { return schema_; }

    /// The tools that may be called, for `tool_reply_parser`; `no_tool` if words are allowed.
    const std::vector<std::string>& names() const noexcept { return names_; }

    /// The tools as the chat template gets them: as they were sent, all of them.
    const std::string& json() const noexcept { return json_; }

    /// What is said in the last message: how to call. The tools themselves are in it unless the
    /// template shows them (`chat_template::uses_tools`).
    ///
    /// \param words instead of ours (`tool_prompt` of the request).
    std::string prompt(bool template_shows_tools, const std::optional<std::string>& words) const;

private:
    std::string json_;
    std::string schema_;
    std::vector<std::string> names_;
};

/// `messages` (a JSON array) with `prompt` at the end of the last one: of its text, or as a part of
/// its own. A message without content gets one.
///
/// \param plain_text false: a content that is a text stays as it is, as in the LoRAX router.
/// \errors `errc::validation` when it is not a list of objects, or an empty one.
result<std::string> append_tool_prompt(
    std::string_view messages, std::string_view prompt, bool plain_text);

}  // namespace truffula::text
