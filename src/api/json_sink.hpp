#pragma once

#include "truffula/api/json_text.hpp"

#include <string>
#include <string_view>

namespace truffula::api {

/// Writes the values it is told of as compact JSON, without a document in memory.
class json_sink {
public:
    /// Starts over with `out`, or with nothing: then everything is dropped.
    void open(std::string* out) {
        out_ = out;
        comma_ = false;
    }

    void key(std::string_view name) {
        if (!out_) return;
        separate();
        append_string(*out_, name);
        *out_ += ':';
        comma_ = false;
    }

    void text(std::string_view value) {
        if (!out_) return;
        separate();
        append_string(*out_, value);
    }

    /// A number, `true`, `false` or `null`, written as it is.
    void literal(std::string_view value) {
        if (!out_) return;
        separate();
        *out_ += value;
    }

    void begin(char bracket) {
        if (!out_) return;
        separate();
        *out_ += bracket;
        comma_ = false;
    }

    void end(char bracket) {
        if (!out_) return;
        *out_ += bracket;
        comma_ = true;
    }

private:
    void separate() {
        if (comma_) *out_ += ',';
        comma_ = true;
    }

    std::string* out_ = nullptr;
    bool comma_ = false;
};

}  // namespace truffula::api
