#pragma once

#include <string>
#include <utility>

namespace truffula::api {

/// Appends a JSON list; `write` appends one item.
template <class List, class Write>
void append_list(std::string& out, const List& list, Write write) {
    out += '[';
    bool comma = false;
    for (const auto& item : list) {
        if (std::exchange(comma, true)) out += ',';
        write(item);
    }
    out += ']';
}

}  // namespace truffula::api
