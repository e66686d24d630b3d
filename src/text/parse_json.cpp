#include "text/parse_json.hpp"

#include <set>
#include <vector>

namespace truffula::text {

using json = nlohmann::ordered_json;

result<json> parse_json(std::string_view text, const std::string& path) {
    constexpr int max_depth = 128;
    std::string words;
    std::vector<std::set<std::string>> keys;
    const auto look = [&](int depth, json::parse_event_t event, json& value) {
        using event_t = json::parse_event_t;
        if (depth > max_depth && words.empty()) words = "is nested too deeply";
        if (event == event_t::object_start) keys.emplace_back();
        if (event == event_t::object_end) keys.pop_back();
        if (event == event_t::key) {
            const auto& key = value.get_ref<const std::string&>();
            if (!keys.back().insert(key).second && words.empty()) {
                words = "key `" + key + "` is there twice";
            }
        }
        return true;
    };
    auto document = json::parse(text, look, false);
    if (document.is_discarded()) words = "is not JSON";
    if (!words.empty()) return error{errc::validation, "`" + path + "`: " + words};
    return document;
}

}  // namespace truffula::text
