#include "truffula/api/openai/models.hpp"

#include "truffula/api/json_text.hpp"

#include <charconv>
#include <map>

namespace truffula::api::openai {

std::vector<listed_model> list_models(
    std::string_view base_model,
    std::span<const adapter::known_adapter> known,
    const std::set<std::string, std::less<>>& allowed) {
    std::map<std::string, std::string_view> adapters;
    for (const auto& id : allowed) adapters[id] = state_name(adapter::adapter_state::unknown);
    for (const auto& a : known) {
        if (a.ids.size() != 1) continue;  // merged ones have no name to ask for
        if (!a.is_usable && !allowed.contains(a.ids.front())) continue;
        adapters[a.ids.front()] = state_name(a.state);
    }
    std::vector<listed_model> models;
    models.push_back({std::string{base_model}, state_name(adapter::adapter_state::ready), true});
    for (const auto& [id, state] : adapters) models.push_back({id, state, false});
    return models;
}

void append_model(
    std::string& out,
    const listed_model& model,
    std::string_view base_model,
    std::int64_t created) {
    out += "{\"id\":";
    append_string(out, model.id);
    out += ",\"object\":\"model\",\"created\":";
    append_number(out, static_cast<std::uint64_t>(created));
    out += ",\"owned_by\":\"truffula\",\"root\":";
    append_string(out, base_model);
    out += ",\"parent\":";
    if (model.is_base) {
        out += "null";
    } else {
        append_string(out, base_model);
    }
    out += ",\"state\":";
    append_string(out, model.state);
    out += '}';
}

std::optional<std::string> decode_path(std::string_view path) {
    std::string text;
    for (std::size_t i = 0; i < path.size(); ++i) {
        if (path[i] != '%') {
            text += path[i];
            continue;
        }
        unsigned char byte = 0;
        const auto* const first = path.data() + i + 1;
        if (i + 2 >= path.size()) return std::nullopt;
        const auto read = std::from_chars(first, first + 2, byte, 16);
        if (read.ec != std::errc{} || read.ptr != first + 2) return std::nullopt;
        text += static_cast<char>(byte);
        i += 2;
    }
    return text;
}

}  // namespace truffula::api::openai
