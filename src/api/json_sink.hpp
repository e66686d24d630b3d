#pragma once

#include "truffula/api/json_text.hpp"

#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace truffula::api {

/// Writes the values it is told of as compact JSON, without a document in memory.
class json_sink {
public:
    /// Starts over with `out`, or with nothing: then everything is dropped.
    void open(std::string* out) {
        out_ = out;
        comma_ = false;
        keys_.clear();
    }

    /// False: the object has that key already. (Not looked at in what is dropped.)
    bool key(std::string_view name) {
        if (!out_) return true;
        if (!keys_.back().emplace(name).second) return false;
        separate();
        append_string(*out_, name);
        *out_ += ':';
        comma_ = false;
        return true;
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
        if (bracket == '{') keys_.emplace_back();
    }

    void end(char bracket) {
        if (!out_) return;
        *out_ += bracket;
        comma_ = true;
        if (bracket == '}') keys_.pop_back();
    }

private:
    void separate() {
        if (comma_) *out_ += ',';
        comma_ = true;
    }

    std::string* out_ = nullptr;
    bool comma_ = false;
    std::vector<std::unordered_set<std::string>> keys_;  // of the objects that are open
};

}  // namespace truffula::api
