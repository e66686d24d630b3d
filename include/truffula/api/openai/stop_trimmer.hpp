#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::api::openai {

/// Keeps stop texts out of an answer that comes in pieces: shards send the text that ended it,
/// OpenAI's clients must not see it. What may be the beginning of a stop text is held back.
class stop_trimmer {
public:
    /// \param stops none: nothing is held back.
    explicit stop_trimmer(std::vector<std::string> stops) : stops_(std::move(stops)) {}

    /// Appends what of `piece`, and of what was held back, may be shown.
    void feed(std::string_view piece, std::string& out);

    /// Appends the rest. If a stop text ended the answer, the rest ends before it.
    void finish(bool is_stopped, std::string& out);

    /// Forgets everything fed.
    void reset() { held_.clear(); }

    /// The whole of an answer that a stop text ended, without that text.
    static std::string_view trim(std::string_view text, const std::vector<std::string>& stops);

private:
    std::size_t first_stop() const;  // where what is held begins to be (part of) a stop text

    std::vector<std::string> stops_;
    std::string held_;
};

}  // namespace truffula::api::openai
