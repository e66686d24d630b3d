#include "truffula/text/tool_reply.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace truffula::text {
namespace {

// Longer ones are refused where tools are read.
constexpr std::size_t max_name = 64;

constexpr std::string_view no_function = "No function found in generated text";
constexpr std::string_view no_name = "No _name found in generated text";
constexpr std::string_view no_content = "No `content` found in generated text";

// How many bytes at the end begin a character whose rest is not there.
std::size_t incomplete_tail(std::string_view text) {
    const auto most = std::min<std::size_t>(text.size(), 3);
    for (std::size_t n = 1; n <= most; ++n) {
        const auto byte = static_cast<unsigned char>(text[text.size() - n]);
        if ((byte & 0xC0) == 0x80) continue;
        const std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
        return length > n ? n : 0;
    }
    return 0;
}

// Keeps the begin of a character in `tail` until its rest comes.
void keep_whole(std::string& text, std::string& tail) {
    if (text.empty()) return;
    text.insert(0, tail);
    const auto cut = incomplete_tail(text);
    tail = text.substr(text.size() - cut);
    text.resize(text.size() - cut);
}

}  // namespace

result<tool_delta> tool_reply_parser::feed(std::string_view piece) {
    tool_delta out;
    if (error_) return *error_;
    for (const auto c : piece) {
        if (!take(c, out)) return *error_;
    }
    // Only one of them ever grows, so one tail is enough.
    keep_whole(out.arguments, tail_);
    keep_whole(out.content, tail_);
    return out;
}

result<> tool_reply_parser::finish() {
    if (error_) return *error_;
    if (!scanner_.complete()) {
        fail("Failed to parse generated text: it ends before its JSON does");
    } else if (!function_done_) {
        fail(std::string{no_function});
    }
    if (error_) return *error_;
    return {};
}

bool tool_reply_parser::fail(std::string words) {
    error_ = error{errc::tool_error, std::move(words)};
    return false;
}

bool tool_reply_parser::take(char c, tool_delta& out) {
    const auto what = scanner_.feed(c);
    if (!what) return fail("Failed to parse generated text: it is not JSON");
    if (*what == json_char::space) return true;
    // A root that is neither object nor list: words, most likely.
    if (*what == json_char::in_scalar && scanner_.depth() == 0) {
        return fail("Failed to parse generated text: it is no JSON object");
    }
    if (scanner_.depth() == 0 && *what != json_char::close) return fail(std::string{no_function});
    return in_function_ ? take_inner(c, *what, out) : take_outer(c, *what);
}

bool tool_reply_parser::take_outer(char c, json_char what) {
    const auto depth = scanner_.depth();
    if (depth == 1 && what == json_char::open) return c == '{' || fail(std::string{no_function});
    if (depth == 1 && what == json_char::key_quote && scanner_.in_string()) key_.clear();
    if (depth == 1 && what == json_char::in_key && key_.size() <= max_name) key_ += c;
    const bool begins = what == json_char::open ? depth == 2 : depth == 1;
    const bool is_value =
        what == json_char::open || what == json_char::string_quote || what == json_char::in_scalar;
    if (begins && is_value && key_ == "function" && !function_done_) {
        if (c != '{') return fail(std::string{no_function});
        in_function_ = true;
    }
    return true;
}

bool tool_reply_parser::take_inner(char c, json_char what, tool_delta& out) {
    const auto depth = scanner_.depth();
    if (depth == 1) return end_function(out);
    if (depth > 2) return in_member(c, what, out);
    switch (what) {
        case json_char::key_quote:
            if (scanner_.in_string()) {
                key_.clear();
            } else {
                begin_member(out);
            }
            return true;
        case json_char::in_key: key_ += c; return true;
        case json_char::comma:
        case json_char::colon: return true;
        default: return in_member(c, what, out);
    }
}

// The key is read: where does its value go?
void tool_reply_parser::begin_member(tool_delta& out) {
    if (key_ == "_name") {
        member_ = name_known_ ? member::skipped : member::name;
    } else if (!name_known_) {
        member_ = member::held;
        if (!held_.empty()) held_ += ',';
        add_key(held_);
    } else if (!is_words_) {
        member_ = member::emitted;
        out.arguments += std::exchange(any_argument_, true) ? ',' : '{';
        add_key(out.arguments);
    } else if (key_ == "content" && !content_seen_) {
        member_ = member::content;
    } else {
        member_ = member::skipped;
    }
}

void tool_reply_parser::add_key(std::string& to) const {
    ((to += '"') += key_) += "\":";
}

bool tool_reply_parser::in_member(char c, json_char what, tool_delta& out) {
    const bool in_text = what == json_char::in_string && scanner_.depth() == 2;
    const bool is_quote = what == json_char::string_quote && scanner_.depth() == 2;
    switch (member_) {
        case member::skipped: return true;
        case member::held: held_ += c; return true;
        case member::emitted: out.arguments += c; return true;
        case member::name:
            if (is_quote) return scanner_.in_string() || know_name(out);
            if (!in_text) return fail(std::string{no_name});
            if (name_.size() <= max_name) name_ += c;
            return true;
        case member::content:
            if (is_quote) {
                // A surrogate that stays alone.
                if (!scanner_.in_string()) decoder_.end(out.content);
                content_seen_ = true;
                return true;
            }
            if (!in_text) return fail(std::string{no_content});
            decoder_.feed(c, out.content);
            return true;
    }
    return true;
}

bool tool_reply_parser::know_name(tool_delta& out) {
    if (std::find(names_.begin(), names_.end(), name_) == names_.end()) {
        return fail("Tool with name " + name_ + " not found");
    }
    name_known_ = true;
    is_words_ = name_ == no_tool;
    if (!is_words_) out.name = name_;
    return held_.empty() || release_held(out);
}

bool tool_reply_parser::release_held(tool_delta& out) {
    if (!is_words_) {
        out.arguments += '{' + std::exchange(held_, {});
        any_argument_ = true;
        return true;
    }
    const auto members =
        nlohmann::json::parse('{' + std::exchange(held_, {}) + '}', nullptr, false);
    if (const auto found = members.find("content"); found != members.end()) {
        if (!found->is_string()) return fail(std::string{no_content});
        out.content += found->get<std::string>();
        content_seen_ = true;
    }
    return true;
}

bool tool_reply_parser::end_function(tool_delta& out) {
    in_function_ = false;
    function_done_ = true;
    if (!name_known_) return fail(std::string{no_name});
    if (!is_words_) {
        out.arguments += any_argument_ ? "}" : "{}";
    } else if (!content_seen_) {
        return fail(std::string{no_content});
    }
    return true;
}

result<tool_delta> read_tool_reply(std::string_view reply, std::vector<std::string> names) {
    tool_reply_parser parser{std::move(names)};
    auto all = parser.feed(reply);
    if (!all) return all;
    if (auto done = parser.finish(); !done) return done.error();
    return all;
}

}  // namespace truffula::text
