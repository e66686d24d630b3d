#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

namespace truffula::bench {

/// Counts server-sent events in the bytes of a chunked body, and sees its end, wherever the bytes
/// are cut. It copies and parses nothing else: the load must cost less than what it measures.
class stream_reader {
public:
    /// How many events end in `bytes`. An event ends with an empty line; JSON and chunk heads have
    /// none (theirs end in CRLF). A comment, which keeps a connection alive, is no event.
    std::size_t take(std::string_view bytes) {
        std::size_t events = 0;
        const auto* at = bytes.data();
        const auto* const end = at + bytes.size();
        while (at < end) {
            if (is_after_newline_ && *at == '\n' && !is_comment_) ++events;
            if (is_after_newline_) is_comment_ = *at == ':';
            is_after_newline_ = false;
            const auto* const newline =
                static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(end - at)));
            if (newline == nullptr) break;
            is_after_newline_ = true;
            at = newline + 1;
        }
        tail_.append(bytes.substr(bytes.size() - std::min(bytes.size(), last_chunk.size())));
        if (tail_.size() > last_chunk.size()) tail_.erase(0, tail_.size() - last_chunk.size());
        return events;
    }

    /// The body is over: its last chunk has come.
    bool is_ended() const { return tail_ == last_chunk; }

private:
    static constexpr std::string_view last_chunk = "\r\n0\r\n\r\n";
    std::string tail_;
    bool is_after_newline_ = false;
    bool is_comment_ = false;  // the line that was begun last
};

}  // namespace truffula::bench
