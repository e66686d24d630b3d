#include "truffula/text/json_schema.hpp"

#include "text/parse_json.hpp"
#include "text/schema_keywords.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace truffula::text {
namespace {

using json = nlohmann::ordered_json;
using kind = keyword_kind;

// Schemas in each other when references are followed: counting them is recursive.
constexpr std::size_t max_chain = 256;

std::string member_of(const std::string& path, const std::string& name) {
    return path + '.' + name;
}

class checker {
public:
    checker(const json& root, const schema_limits& limits) : root_(root), limits_(limits) {}

    bool check(const json& schema, const std::string& path, std::size_t depth) {
        if (depth > limits_.depth) {
            return fail(path, "is nested more than " + std::to_string(limits_.depth) + " deep");
        }
        if (schema.is_boolean()) return true;
        if (!schema.is_object()) return fail(path, "must be a JSON schema: an object");
        for (const auto& [name, value] : schema.items()) {
            const auto known = find_keyword(name);
            if (!known) continue;
            if (!check_keyword(*known, value, member_of(path, name), depth)) return false;
            if (name == "$ref" && !follow(value, path)) return false;
        }
        return true;
    }

    /// How many schemas `schema` is once references are replaced.
    std::optional<std::size_t> expanded(const json& schema) {
        if (const auto known = sizes_.find(&schema); known != sizes_.end()) return known->second;
        if (open_.size() == max_chain) return limits_.nodes + 1;
        if (!open_.insert(&schema).second) return std::nullopt;  // it contains itself
        std::size_t sum = 1;
        bool circle = false;
        const auto add = [&](const json& inner) {
            if (circle || sum > limits_.nodes) return;
            const auto size = expanded(inner);
            if (!size) {
                circle = true;
            } else {
                sum += *size;
            }
        };
        if (schema.is_object()) for_each_inner(schema, add);
        open_.erase(&schema);
        if (circle) return std::nullopt;
        // More than the limit is all one.
        sum = std::min(sum, limits_.nodes + 1);
        sizes_.emplace(&schema, sum);
        return sum;
    }

    bool fail(const std::string& path, const std::string& words) {
        fault_ = "`" + path + "`: " + words;
        return false;
    }

    const std::string& fault() const { return fault_; }

private:
    bool check_keyword(kind wanted, const json& value, const std::string& path, std::size_t depth) {
        switch (wanted) {
            case kind::schema: return check(value, path, depth + 1);
            case kind::schema_or_list:
                if (!value.is_array()) return check(value, path, depth + 1);
                return check_list(value, path, depth);
            case kind::schemas:
                if (!value.is_array() || value.empty()) {
                    return fail(path, "must be a list of schemas, and not empty");
                }
                return check_list(value, path, depth);
            case kind::named_schemas:
            case kind::dependencies:
                if (!value.is_object()) return fail(path, "must be an object of schemas");
                for (const auto& [name, inner] : value.items()) {
                    if (wanted == kind::dependencies && are_texts(inner)) continue;
                    if (!check(inner, member_of(path, name), depth + 1)) return false;
                }
                return true;
            default:
                if (const auto words = plain_fault(wanted, value)) return fail(path, *words);
                return true;
        }
    }

    bool check_list(const json& list, const std::string& path, std::size_t depth) {
        for (std::size_t i = 0; i < list.size(); ++i) {
            if (!check(list[i], path + '[' + std::to_string(i) + ']', depth + 1)) return false;
        }
        return true;
    }

    /// What a reference leads to; null: nothing.
    const json* target(const json& value) const {
        const auto& reference = value.get_ref<const std::string&>();
        if (reference == "#") return &root_;
        if (!reference.starts_with("#/")) return nullptr;
        try {
            const json::json_pointer pointer{reference.substr(1)};
            return root_.contains(pointer) ? &root_.at(pointer) : nullptr;
        } catch (const json::exception&) {
            return nullptr;  // no JSON pointer
        }
    }

    bool follow(const json& value, const std::string& path) {
        const auto& reference = value.get_ref<const std::string&>();
        if (!reference.starts_with('#')) {
            return fail(path + ".$ref", "must begin with `#`: nothing is fetched");
        }
        const auto* found = target(value);
        if (found == nullptr || !(found->is_object() || found->is_boolean())) {
            return fail(path + ".$ref", "`" + reference + "` leads to no schema");
        }
        return true;
    }

    template <class Visit>
    void for_each_inner(const json& schema, const Visit& visit) const {
        for (const auto& [name, value] : schema.items()) {
            if (name == "$ref" && value.is_string()) {
                if (const auto* found = target(value)) visit(*found);
            }
            // Definitions count where they are used.
            if (name == "$defs" || name == "definitions") continue;
            const auto known = find_keyword(name);
            if (!known) continue;
            switch (*known) {
                case kind::schema: visit(value); break;
                case kind::schema_or_list:
                    if (!value.is_array()) {
                        visit(value);
                        break;
                    }
                    [[fallthrough]];
                case kind::schemas:
                case kind::named_schemas:
                case kind::dependencies:
                    for (const auto& inner : value) visit(inner);
                    break;
                default: break;
            }
        }
    }

    const json& root_;
    const schema_limits& limits_;
    std::unordered_map<const json*, std::size_t> sizes_;
    std::set<const json*> open_;
    std::string fault_;
};

}  // namespace

result<std::string> check_schema(
    std::string_view schema, const std::string& path, const schema_limits& limits) {
    const auto wrong = [&](const std::string& words) {
        return error{errc::validation, "`" + path + "`: " + words};
    };
    const auto too_large = [&](std::size_t size) {
        return wrong(
            "may have " + std::to_string(limits.bytes) + " bytes. Given: " + std::to_string(size));
    };
    // White space is not counted, within reason.
    if (schema.size() > 16 * limits.bytes) return too_large(schema.size());
    const auto document = parse_json(schema, path);
    if (!document) return document.error();
    if (!document->is_object()) return wrong("must be a JSON schema: an object");
    auto compact = document->dump();
    if (compact.size() > limits.bytes) return too_large(compact.size());

    checker check{*document, limits};
    if (!check.check(*document, path, 0)) return error{errc::validation, check.fault()};
    const auto size = check.expanded(*document);
    if (!size) return wrong("refers to itself, which shards cannot follow");
    if (*size > limits.nodes) {
        return wrong(
            "is more than " + std::to_string(limits.nodes) +
            " schemas, or more than 256 deep, when its references are replaced");
    }
    return compact;
}

}  // namespace truffula::text
