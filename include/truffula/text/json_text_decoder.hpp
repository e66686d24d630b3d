#pragma once

#include <cstdint>
#include <string>

namespace truffula::text {

/// Gives the text that a JSON string stands for, from what is between its quotes, letter by letter.
/// Its escapes have been checked; half a surrogate pair that stays alone becomes U+FFFD.
class json_text_decoder {
public:
    /// Takes the next byte; appends to `out` what is known by it.
    void feed(char c, std::string& out);
    /// The string ends.
    void end(std::string& out);

private:
    void take_unit(std::uint32_t unit, std::string& out);

    std::string escape_;      ///< Begin of an escape.
    std::uint32_t high_ = 0;  ///< First half of a surrogate pair.
};

}  // namespace truffula::text
