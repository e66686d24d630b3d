#include "truffula/api/entities.hpp"

#include "truffula/api/json_text.hpp"

#include <algorithm>
#include <utility>

namespace truffula::api {
namespace {

struct label_parts {
    std::string_view position;
    std::string_view tag;  // empty: no entity
};

label_parts split(std::string_view label) {
    const auto dash = label.find('-');
    if (dash == label.npos || label.find('-', dash + 1) != label.npos) return {};
    return {label.substr(0, dash), label.substr(dash + 1)};
}

/// The byte at which each character begins, and the text's end.
std::vector<std::size_t> character_starts(std::string_view text) {
    std::vector<std::size_t> starts;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if ((static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80) starts.push_back(i);
    }
    starts.push_back(text.size());
    return starts;
}

std::string lower_case(std::string_view text) {
    std::string out{text};
    for (auto& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

}  // namespace

result<std::vector<entity>> join_entities(
    std::string_view text,
    std::span<const text::token_span> tokens,
    const inference::pooled_answer& labels) {
    if (labels.labels.size() != tokens.size()) {
        return error{
            errc::protocol,
            "the shard answered " + std::to_string(labels.labels.size()) + " labels for " +
                std::to_string(tokens.size()) + " tokens"};
    }
    const auto starts = character_starts(text);
    const auto byte_at = [&](std::size_t character) {
        return starts[std::min(character, starts.size() - 1)];
    };
    std::vector<entity> all;
    std::size_t count = 0;  // tokens of the open entity; 0: none is open
    for (std::size_t i = 1; i + 1 < tokens.size(); ++i) {
        const auto [position, tag] = split(labels.labels[i]);
        if (tag.empty()) {
            count = 0;
            continue;
        }
        const auto score = labels.label_scores[i];
        const auto end = byte_at(tokens[i].stop);
        if (count == 0 || position == "B" || tag != all.back().group) {
            all.push_back({std::string{tag}, score, {}, byte_at(tokens[i].start), end});
            count = 1;
            continue;
        }
        ++count;
        auto& open = all.back();
        open.score += (score - open.score) / static_cast<float>(count);
        open.end = std::max(open.end, end);
    }
    for (auto& e : all) {
        e.end = std::max(e.start, e.end);
        e.word = lower_case(text.substr(e.start, e.end - e.start));
    }
    return all;
}

void append_entities(std::string& out, std::span<const entity> all) {
    out += '[';
    for (const auto& e : all) {
        if (&e != &all.front()) out += ',';
        out += "{\"entity_group\":";
        append_string(out, e.group);
        out += ",\"score\":";
        append_float(out, e.score);
        out += ",\"word\":";
        append_string(out, e.word);
        out += ",\"start\":";
        append_number(out, e.start);
        out += ",\"end\":";
        append_number(out, e.end);
        out += '}';
    }
    out += ']';
}

}  // namespace truffula::api
