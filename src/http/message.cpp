#include "truffula/http/message.hpp"

namespace truffula::http {

std::optional<std::string_view> request::header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
        if (key == name) return value;
    }
    return std::nullopt;
}

}  // namespace truffula::http
