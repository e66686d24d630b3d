#include "api/json_reader.hpp"

#include <algorithm>
#include <utility>

namespace truffula::api {
namespace {

constexpr std::string_view malformed = "Failed to parse the request body as JSON: ";

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

bool json_reader::may_go_deeper() {
    if (frames_.size() + other_depth_ < max_json_depth) return true;
    auto reason = "nested deeper than " + std::to_string(max_json_depth) + " levels";
    failure_ = rejection{400, std::string{malformed} + reason, {}, reason};
    return false;
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
