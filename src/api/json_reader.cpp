#include "api/json_reader.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace truffula::api {
namespace {

constexpr std::string_view malformed = "Failed to parse the request body as JSON: ";

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

bool is_list(json_kind kind) {
    return kind == json_kind::text_list || kind == json_kind::f32_list;
}

// nlohmann's words without its name, the position it puts first, and what it quotes of the body,
// which need not be UTF-8.
std::string reason_of(std::string_view what) {
    constexpr std::string_view quote = "; last read: '";
    if (const auto at = what.find("column "); at != what.npos) {
        if (const auto colon = what.find(": ", at); colon != what.npos)
            what.remove_prefix(colon + 2);
    } else if (const auto bracket = what.find("] "); bracket != what.npos) {
        what.remove_prefix(bracket + 2);
    }
    std::string text{what.substr(0, what.find(quote))};
    if (const auto tail = what.rfind("; expected "); tail != what.npos && tail > text.size()) {
        text += what.substr(tail);
    }
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c > 0x7E; }, '?');
    return text;
}

/// Where an object or list is kept as text; null: it is read by a schema.
std::string* text_to_keep(const field& f, void* owner) {
    if (f.kind == json_kind::any) return &static_cast<raw_json*>(f.slot(owner))->text;
    if (f.kind == json_kind::text_or_any) return &static_cast<text_or_json*>(f.slot(owner))->text;
    return nullptr;
}

}  // namespace

std::string json_reader::path() const {
    std::string text;
    for (const auto& f : frames_) {
        if (!f.current) break;
        if (!text.empty()) text += '.';
        text += f.current->name;
    }
    if (list_) text += '[' + std::to_string(list_at_) + ']';
    return text;
}

bool json_reader::refuse(std::string reason) {
    failure_ = wrong_field(path(), std::move(reason));
    return false;
}

/// What one value may be here: that of the current field, or of an element of its list.
json_kind json_reader::scalar_kind() const {
    const auto kind = current() ? current()->kind : json_kind::object;
    if (!list_) return kind;
    return kind == json_kind::text_list ? json_kind::text : json_kind::f32;
}

bool json_reader::mismatch(std::string_view found) {
    return refuse("expected " + expected(scalar_kind()) + ", found " + std::string{found});
}

bool json_reader::may_go_deeper() {
    if (frames_.size() + other_depth_ + (list_ ? 1 : 0) < max_json_depth) return true;
    auto reason = "nested deeper than " + std::to_string(max_json_depth) + " levels";
    failure_ = rejection{400, std::string{malformed} + reason, {}, reason};
    return false;
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

bool json_reader::open_other(char bracket, std::string* keep) {
    if (!may_go_deeper()) return false;
    if (!inside_other()) {
        if (keep) keep->clear();  // it held the default
        sink_.open(keep);
    }
    ++other_depth_;
    sink_.begin(bracket);
    return true;
}

bool json_reader::close_other(char bracket) {
    --other_depth_;
    sink_.end(bracket);
    return true;
}

bool json_reader::start_object(std::size_t) {
    if (inside_other() || is_ignored()) return open_other('{', nullptr);
    if (frames_.empty()) {
        frames_.push_back({&root_, target_});
        return true;
    }
    const auto* f = current();
    void* owner = frames_.back().owner;
    if (auto* const kept = text_to_keep(*f, owner)) return open_other('{', kept);
    if (list_ || f->kind != json_kind::object) return mismatch("an object");
    frames_.push_back({&f->object(), f->slot(owner)});
    return true;
}

bool json_reader::key(string_t& name) {
    constexpr std::size_t shown = 64;
    if (inside_other()) {
        return sink_.key(name) || refuse("duplicate field `" + name.substr(0, shown) + "`");
    }
    auto& top = frames_.back();
    top.current = nullptr;
    const auto fields = top.schema->fields;
    for (std::size_t i = 0; i < fields.size(); ++i) {
        if (fields[i].name != name) continue;
        const auto bit = std::uint64_t{1} << i;
        top.current = &fields[i];
        if (top.seen & bit) return refuse("duplicate field");
        top.seen |= bit;
        break;
    }
    return true;
}

bool json_reader::end_object() {
    if (inside_other()) return close_other('}');
    auto& top = frames_.back();
    top.current = nullptr;
    for (std::size_t i = 0; i < top.schema->fields.size(); ++i) {
        const auto& f = top.schema->fields[i];
        if (f.must == presence::required && !(top.seen & (std::uint64_t{1} << i))) {
            refuse("missing field `" + std::string{f.name} + "`");
            failure_->missing = f.name;
            return false;
        }
    }
    frames_.pop_back();
    return true;
}

bool json_reader::start_array(std::size_t) {
    if (inside_other() || is_ignored()) return open_other('[', nullptr);
    if (frames_.empty()) return mismatch("an array");
    const auto* f = current();
    void* owner = frames_.back().owner;
    if (auto* const kept = text_to_keep(*f, owner)) return open_other('[', kept);
    if (list_ || !is_list(f->kind)) return mismatch("an array");
    list_ = f->slot(owner);
    list_at_ = 0;
    return true;
}

bool json_reader::end_array() {
    if (inside_other()) return close_other(']');
    list_ = nullptr;
    return true;
}

bool json_reader::parse_error(
    std::size_t, const std::string&, const nlohmann::detail::exception& what) {
    auto reason = reason_of(what.what());
    failure_ = rejection{400, std::string{malformed} + reason, {}, std::move(reason)};
    return false;
}

}  // namespace truffula::api
