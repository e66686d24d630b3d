// The values of a body that are neither objects nor lists.
#include "api/json_reader.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

namespace truffula::api {
namespace {

std::string expected(json_kind kind) {
    switch (kind) {
        case json_kind::boolean: return "a boolean";
        case json_kind::u32: return "an integer from 0 to 4294967295";
        case json_kind::i32: return "an integer from -2147483648 to 2147483647";
        case json_kind::u64: return "an integer from 0 to 18446744073709551615";
        case json_kind::i64: return "an integer from -9223372036854775808 to 9223372036854775807";
        case json_kind::f32: return "a 32-bit number";
        case json_kind::text: return "a string";
        case json_kind::text_list: return "an array of strings";
        case json_kind::f32_list: return "an array of 32-bit numbers";
        case json_kind::object: return "an object";
        case json_kind::any:
        case json_kind::text_or_any: return "any value";
    }
    return "another value";
}

}  // namespace

/// What one value may be here: that of the current field, or of an element of its list.
json_kind json_reader::scalar_kind() const {
    const auto kind = current() ? current()->kind : json_kind::object;
    if (!list_) return kind;
    return kind == json_kind::text_list ? json_kind::text : json_kind::f32;
}

bool json_reader::mismatch(std::string_view found) {
    return refuse("expected " + expected(scalar_kind()) + ", found " + std::string{found});
}

template <class T>
void json_reader::store(T value) {
    if (list_) {
        static_cast<std::vector<T>*>(list_)->push_back(std::move(value));
        ++list_at_;
    } else {
        *static_cast<T*>(current()->slot(frames_.back().owner)) = std::move(value);
    }
}

// True: the value was ignored, or is part of one that is kept as text.
bool json_reader::keep_any(std::string_view literal) {
    if (inside_other()) {
        sink_.literal(literal);
        return true;
    }
    if (is_ignored()) return true;
    const auto kind = current() ? current()->kind : json_kind::object;
    const bool is_absent = literal == "null" && current() && current()->must == presence::optional;
    if (kind == json_kind::any) {
        store(raw_json{std::string{literal}});
    } else if (kind == json_kind::text_or_any && !is_absent) {
        store(text_or_json{false, std::string{literal}});
    } else {
        return false;
    }
    return true;
}

bool json_reader::null() {
    if (keep_any("null")) return true;
    if (!list_ && current() && current()->must == presence::optional) return true;
    return mismatch("null");
}

bool json_reader::boolean(bool value) {
    if (keep_any(value ? "true" : "false")) return true;
    if (list_ || !current() || current()->kind != json_kind::boolean) return mismatch("a boolean");
    store(value);
    return true;
}

bool json_reader::number_integer(number_integer_t value) {
    const auto magnitude = static_cast<std::uint64_t>(value);
    return store_integer(value, magnitude, value < 0);
}

bool json_reader::number_unsigned(number_unsigned_t value) {
    return store_integer(0, value, false);
}

bool json_reader::store_integer(std::int64_t value, std::uint64_t magnitude, bool is_negative) {
    const auto digits = is_negative ? std::to_string(value) : std::to_string(magnitude);
    if (keep_any(digits)) return true;
    const auto kind = scalar_kind();
    if (kind == json_kind::f32) {
        const auto number = is_negative ? static_cast<float>(value) : static_cast<float>(magnitude);
        store(number);
        return true;
    }
    const auto fits = [&](std::int64_t low, std::uint64_t high) {
        return is_negative ? value >= low : magnitude <= high;
    };
    if (kind == json_kind::u64 && fits(0, std::numeric_limits<std::uint64_t>::max())) {
        store(magnitude);
    } else if (
        kind == json_kind::i64 &&
        fits(std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max())) {
        store(is_negative ? value : static_cast<std::int64_t>(magnitude));
    } else if (kind == json_kind::u32 && fits(0, std::numeric_limits<std::uint32_t>::max())) {
        store(static_cast<std::uint32_t>(magnitude));
    } else if (
        kind == json_kind::i32 &&
        fits(std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max())) {
        store(static_cast<std::int32_t>(magnitude));
    } else {
        return mismatch("the number " + digits);
    }
    return true;
}

bool json_reader::number_float(number_float_t value, const string_t& digits) {
    if (keep_any(digits)) return true;
    return store_float(value, digits);
}

bool json_reader::store_float(double value, std::string_view digits) {
    const bool takes = scalar_kind() == json_kind::f32;
    const bool fits = std::fabs(value) <= static_cast<double>(std::numeric_limits<float>::max());
    if (!takes || !fits) {
        constexpr std::size_t shown = 32;
        return mismatch("the number " + std::string{digits.substr(0, shown)});
    }
    store(static_cast<float>(value));
    return true;
}

bool json_reader::string(string_t& value) {
    if (inside_other()) {
        sink_.text(value);
        return true;
    }
    if (is_ignored()) return true;
    const auto kind = scalar_kind();
    if (kind == json_kind::any) {
        raw_json kept;
        append_string(kept.text, value);
        store(std::move(kept));
        return true;
    }
    if (kind == json_kind::text_or_any) {
        store(text_or_json{true, std::move(value)});
        return true;
    }
    if (kind != json_kind::text) return mismatch("a string");
    const auto choices = current()->choices;
    if (!choices.empty() && std::find(choices.begin(), choices.end(), value) == choices.end()) {
        std::string names;
        for (const auto c : choices) (names += names.empty() ? "" : ", ") += c;
        return refuse("unknown value, expected one of " + names);
    }
    store(std::move(value));
    return true;
}

}  // namespace truffula::api
