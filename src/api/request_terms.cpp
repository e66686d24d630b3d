#include "truffula/api/request_terms.hpp"

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

namespace truffula::api {
namespace {

constexpr std::int64_t longest_deadline = 86'400'000;  // milliseconds: a day

// Header values may be long; an error shows what can be read at a glance.
std::string shown(std::string_view value) {
    constexpr std::size_t most = 40;
    std::string text;
    for (const char c : value.substr(0, most)) text += c >= 0x20 && c < 0x7F ? c : '?';
    if (value.size() > most) text += "...";
    return text;
}

result<std::chrono::milliseconds> read_deadline(std::string_view value) {
    std::int64_t ms = 0;
    const auto* const begin = value.data();
    const auto* const end = begin + value.size();
    const auto read = std::from_chars(begin, end, ms);
    const bool is_number = read.ec == std::errc{} && read.ptr == end;
    if (is_number && ms >= 1 && ms <= longest_deadline) return std::chrono::milliseconds{ms};
    const auto* why = is_number && ms < 1 ? "; a deadline in the past cannot be met" : "";
    return error{
        errc::validation,
        "`x-truffula-deadline-ms` must be a whole number of milliseconds from the request's "
        "arrival, 1 to 86400000. Given: '" +
            shown(value) + "'" + why};
}

}  // namespace

result<request_terms> read_terms(const http::request& from) {
    request_terms terms;
    if (const auto value = from.header("x-truffula-deadline-ms")) {
        const auto ms = read_deadline(*value);
        if (!ms) return ms.error();
        terms.deadline = from.received + *ms;
    }
    if (const auto value = from.header("x-truffula-priority")) {
        if (*value == "batch") {
            terms.priority = inference::priority::batch;
        } else if (*value != "interactive") {
            return error{
                errc::validation,
                "`x-truffula-priority` must be one of interactive, batch. Given: '" +
                    shown(*value) + "'"};
        }
    }
    return terms;
}

std::optional<std::string> bearer_token(const http::request& from) {
    constexpr std::string_view scheme = "Bearer ";
    const auto value = from.header("authorization");
    if (!value || !value->starts_with(scheme)) return std::nullopt;
    return std::string{value->substr(scheme.size())};
}

}  // namespace truffula::api
