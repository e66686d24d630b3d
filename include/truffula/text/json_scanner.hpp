#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace truffula::text {

/// What a character of a JSON text is.
enum class json_char : std::uint8_t {
    space,  ///< Outside of strings.
    open,   ///< `{` or `[`; `depth()` counts it already.
    close,  ///< `}` or `]`; `depth()` counts it no more.
    colon,
    comma,
    key_quote,     ///< Begins or ends a key (`in_string()` tells which).
    string_quote,  ///< Begins or ends a string that is a value.
    in_key,
    in_string,
    in_scalar,  ///< Of a number, `true`, `false` or `null`.
};

/// Reads one JSON value character by character (RFC 8259), without holding it: says what each
/// character is, and refuses the first that cannot stand there.
class json_scanner {
public:
    static constexpr std::size_t max_depth = 128;
    static constexpr std::size_t max_scalar = 400;  ///< Characters of a number.

    /// Nothing: no JSON text goes on like this. Nothing is taken any more then.
    std::optional<json_char> feed(char c);

    std::size_t depth() const noexcept { return stack_.size(); }
    bool in_string() const noexcept { return in_string_; }
    /// A whole object, array or string was read.
    bool complete() const noexcept { return expect_ == expect::end && scalar_.empty(); }

private:
    enum class expect : std::uint8_t {
        value,
        value_or_close,
        key,
        key_or_close,
        colon,
        comma_or_close,
        end,
        nothing,  ///< After an error.
    };

    std::optional<json_char> refuse();
    std::optional<json_char> string_char(char c);
    std::optional<json_char> structural(char c);
    std::optional<json_char> open(char c);
    std::optional<json_char> close(char c);
    void value_ended();
    bool end_scalar();

    std::vector<char> stack_;
    std::string scalar_;
    expect expect_ = expect::value;
    bool in_string_ = false;
    bool is_key_ = false;
    bool escaped_ = false;
    std::uint8_t hex_digits_ = 0;  ///< Still to come of a `\u` escape.
};

}  // namespace truffula::text
