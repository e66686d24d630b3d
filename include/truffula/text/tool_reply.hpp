#pragma once

#include "truffula/error/error.hpp"
#include "truffula/text/json_scanner.hpp"
#include "truffula/text/json_text_decoder.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::text {

/// The pseudo tool that stands for an answer in words.
inline constexpr std::string_view no_tool = "no_tool";

/// What a piece of a reply adds. Each text is whole characters of UTF-8.
struct tool_delta {
    std::optional<std::string> name;  ///< Of the tool that is called; comes once, and first.
    std::string arguments;            ///< More of the JSON text of its arguments.
    std::string content;              ///< More of an answer in words.
};

/// Reads `{"function": {"_name": …, …}}`, the JSON that a shard is made to write when there are
/// tools (contract section 11), as it comes. The arguments leave without `_name` and without white
/// space between their parts, otherwise letter by letter as they came; the words of `no_tool` leave
/// as text. Nothing is held that could leave, but what comes before `_name`.
class tool_reply_parser {
public:
    /// \param names of the tools that may be called, `no_tool` if words are allowed.
    explicit tool_reply_parser(std::vector<std::string> names) : names_(std::move(names)) {}

    /// Takes the next piece, cut anywhere.
    ///
    /// \errors `errc::tool_error` in the words of contract section 6; from then on always.
    result<tool_delta> feed(std::string_view piece);

    /// Call at the end of the reply.
    ///
    /// \errors `errc::tool_error` unless the reply is whole.
    result<> finish();

    /// True once the model calls a tool, rather than answer in words.
    bool is_call() const noexcept { return name_known_ && !is_words_; }

    /// True once the call or the answer has come to its end.
    bool is_whole() const noexcept { return function_done_; }

private:
    enum class member : std::uint8_t { skipped, held, name, emitted, content };

    bool take(char c, tool_delta& out);
    bool take_outer(char c, json_char what);
    bool take_inner(char c, json_char what, tool_delta& out);
    void begin_member(tool_delta& out);
    void add_key(std::string& to) const;
    bool in_member(char c, json_char what, tool_delta& out);
    bool know_name(tool_delta& out);
    bool end_function(tool_delta& out);
    bool release_held(tool_delta& out);
    bool fail(std::string words);

    std::vector<std::string> names_;
    json_scanner scanner_;
    std::optional<error> error_;
    std::string key_;
    std::string name_;
    std::string held_;           ///< Members that came before the name, as JSON.
    std::string tail_;           ///< Begin of a character, of the text that leaves now.
    json_text_decoder decoder_;  ///< Of `content`.
    member member_ = member::skipped;
    bool in_function_ = false;
    bool function_done_ = false;
    bool name_known_ = false;
    bool is_words_ = false;
    bool any_argument_ = false;
    bool content_seen_ = false;
};

/// A whole reply: `content` without `name`, or a call.
///
/// \errors as `tool_reply_parser`.
result<tool_delta> read_tool_reply(std::string_view reply, std::vector<std::string> names);

}  // namespace truffula::text
