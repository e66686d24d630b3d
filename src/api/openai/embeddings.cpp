#include "truffula/api/openai/embeddings.hpp"

#include "api/openai/token_ids.hpp"
#include "truffula/api/base64.hpp"
#include "truffula/api/json_text.hpp"

#include <nlohmann/json.hpp>

#include <utility>

namespace truffula::api::openai {
namespace {

using json = nlohmann::json;
using refused = std::optional<fault>;

refused refuse(std::string why) {
    return invalid_field("input", "`input` " + std::move(why));
}

constexpr auto wanted =
    "must be a string, a list of strings, a list of token ids, or a list of lists of token ids";

refused read_list(const json& list, bool takes_ids, std::vector<embedding_input>& to) {
    if (!list.is_array()) return refuse(wanted);
    if (takes_ids && !list.empty() && list.front().is_number()) {
        to.push_back({{}, std::vector<std::uint32_t>{}});
        if (!read_token_ids(list, *to.back().ids)) return refuse(wanted);
        return std::nullopt;
    }
    for (const auto& one : list) {
        const bool is_text = one.is_string();
        to.emplace_back();
        if (is_text) {
            to.back().text = one.get<std::string>();
            continue;
        }
        if (!takes_ids || !one.is_array()) return refuse(wanted);
        to.back().ids.emplace();
        if (!read_token_ids(one, *to.back().ids)) return refuse(wanted);
    }
    return std::nullopt;
}

}  // namespace

std::optional<fault> read_inputs(
    text_or_json&& given, bool is_strict, std::vector<embedding_input>& to) {
    if (given.is_text) {
        to.push_back({std::move(given.text), std::nullopt});
    } else if (auto f = read_list(json::parse(given.text), is_strict, to)) {
        return f;
    }
    if (!is_strict) return std::nullopt;
    if (to.empty()) return refuse("must not be an empty list");
    if (to.size() > max_embedding_inputs) {
        return refuse(
            "must not have more than " + std::to_string(max_embedding_inputs) +
            " elements. Given: " + std::to_string(to.size()));
    }
    for (const auto& one : to) {
        if (!one.ids && one.text.empty()) return refuse("must not have an empty string");
    }
    return std::nullopt;
}

std::optional<fault> check_fields(const embeddings_body& body) {
    const auto& format = body.encoding_format;
    if (format && *format != "float" && *format != "base64") {
        return invalid_field("encoding_format", "`encoding_format` must be float or base64");
    }
    if (body.dimensions && *body.dimensions < 1) {
        return invalid_field("dimensions", "`dimensions` must be at least 1");
    }
    return std::nullopt;
}

void append_embeddings(
    std::string& out,
    const vectors& all,
    bool as_base64,
    std::string_view model,
    std::uint64_t prompt_tokens) {
    out += "{\"object\":\"list\",\"data\":[";
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (i > 0) out += ',';
        out += "{\"object\":\"embedding\",\"index\":";
        append_number(out, i);
        out += ",\"embedding\":";
        if (as_base64) {
            out += '"';
            append_base64(out, all[i]);
            out += '"';
        } else {
            append_floats(out, all[i]);
        }
        out += '}';
    }
    out += "],\"model\":";
    append_string(out, model);
    out += ",\"usage\":{\"prompt_tokens\":";
    append_number(out, prompt_tokens);
    out += ",\"total_tokens\":";
    append_number(out, prompt_tokens);
    out += "}}";
}

void append_lorax_embeddings(std::string& out, const vectors& all) {
    out += "{\"embeddings\":[";
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (i > 0) out += ',';
        out += "{\"index\":";
        append_number(out, i);
        out += ",\"embedding\":";
        append_floats(out, all[i]);
        out += ",\"object\":\"embedding\"}";
    }
    out += "]}";
}

}  // namespace truffula::api::openai
