#include "shard_sim/fault.hpp"

#include <charconv>
#include <limits>
#include <utility>

namespace truffula::shard_sim {
namespace {

std::string_view cut(std::string_view& rest) {
    const auto colon = rest.find(':');
    const auto part = rest.substr(0, colon);
    rest = colon == std::string_view::npos ? std::string_view{} : rest.substr(colon + 1);
    return part;
}

bool parse_calls(std::string_view text, fault& out) {
    const auto all = std::numeric_limits<std::uint64_t>::max();
    if (text == "*") {
        out.last = all;
        return true;
    }
    const bool open = text.ends_with('+');
    if (open) text.remove_suffix(1);
    const auto* begin = text.data();
    const auto* end = begin + text.size();
    const auto [stop, ec] = std::from_chars(begin, end, out.first);
    if (ec != std::errc{} || stop != end || out.first == 0) return false;
    out.last = open ? all : out.first;
    return true;
}

std::optional<fault_kind> kind_named(std::string_view name) {
    for (std::size_t i = 0; i < fault_names.size(); ++i) {
        if (fault_names[i] == name) return static_cast<fault_kind>(i);
    }
    return std::nullopt;
}

}  // namespace

std::optional<fault> parse_fault(std::string_view text, std::string& why) {
    std::string_view rest = text;
    const auto name = cut(rest);
    const auto calls = cut(rest);
    const auto kind_name = cut(rest);
    const auto call = method_named(name);
    const auto kind = kind_named(kind_name);
    fault out;
    if (!call) {
        why = "no method '" + std::string{name} + "'";
    } else if (!parse_calls(calls, out)) {
        why = "'" + std::string{calls} + "' is not N, N+ or * with N at least 1";
    } else if (!kind) {
        why = "no fault '" + std::string{kind_name} + "'";
    } else if (
        *kind >= fault_kind::unknown_id && *call != method::prefill && *call != method::decode) {
        why = "'" + std::string{kind_name} + "' is for Prefill and Decode only";
    } else {
        out.call = *call;
        out.kind = *kind;
        out.text = rest.empty() ? "simulated failure of " + std::string{name} : std::string{rest};
        return out;
    }
    return std::nullopt;
}

std::optional<fault> fault_plan::next(method m) {
    const auto number = ++calls_[index_of(m)];
    for (const auto& f : faults_) {
        if (f.call == m && f.first <= number && number <= f.last) return f;
    }
    return std::nullopt;
}

}  // namespace truffula::shard_sim
