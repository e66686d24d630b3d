// The YAML file.
#include "config/sources.hpp"

#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

namespace truffula::config {
namespace {

std::size_t distance(const std::string& a, const std::string& b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        auto diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const auto above = row[j];
            const auto replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({replaced, above + 1, row[j - 1] + 1});
            diagonal = above;
        }
    }
    return row.back();
}

/// ` (did you mean X?)` when something close is known.
std::string suggestion(const std::string& wrong, const std::set<std::string>& known) {
    constexpr std::size_t most = 3;
    const auto best = std::ranges::min_element(
        known, {}, [&wrong](const std::string& k) { return distance(wrong, k); });
    if (best == known.end() || distance(wrong, *best) > most) return {};
    return " (did you mean `" + *best + "`?)";
}

class reader {
public:
    reader(const std::string& path, loaded& to) : path_(path), to_(to) {
        for (const auto& o : options()) known_[o.section].insert(o.name);
    }

    result<> read(const YAML::Node& root) {
        if (root.IsNull()) return {};
        if (!root.IsMap()) return wrong(root, "found no mapping; allowed: sections with settings");
        std::set<std::string> seen;
        for (const auto& section : root) {
            const auto name = section.first.Scalar();
            std::set<std::string> sections;
            for (const auto& [known, keys] : known_) sections.insert(known);
            if (!sections.contains(name)) {
                return wrong(
                    section.first, "`" + name + "`: unknown section" + suggestion(name, sections));
            }
            if (!seen.insert(name).second) {
                return wrong(section.first, "`" + name + "`: found twice; give it once");
            }
            if (auto ok = read_section(name, section.second); !ok) return ok;
        }
        return {};
    }

private:
    result<> read_section(const std::string& name, const YAML::Node& node) {
        if (node.IsNull()) return {};
        if (!node.IsMap()) return wrong(node, "`" + name + "`: found no mapping of settings");
        std::set<std::string> seen;
        std::set<std::string> given;  // not `null`
        for (const auto& entry : node) {
            const auto key = entry.first.Scalar();
            if (!entry.second.IsNull()) given.insert(key);
            const auto& keys = known_[name];
            if (!keys.contains(key)) {
                return wrong_key(entry.first, name, "unknown key" + suggestion(key, keys));
            }
            if (!seen.insert(key).second) {
                return wrong_key(entry.first, name, "found twice; give it once");
            }
            const auto o = std::ranges::find_if(options(), [&](const option& one) {
                return one.section == name && one.name == key;
            });
            if (auto ok = read_value(*o, entry.second); !ok) return ok;
        }
        const bool has_both =
            given.contains("master_shard") && given.contains("master_shard_uds_path");
        if (has_both) {
            return wrong(node, "found master_shard and master_shard_uds_path; give one of them");
        }
        return {};
    }

    result<> read_value(const option& o, const YAML::Node& node) {
        const auto refuse = [&](const std::string& found) {
            return wrong(node, o.name + ": found " + found + "; allowed: " + o.allowed);
        };
        if (node.IsNull()) {
            if (o.is_optional || o.is_text || o.type == option::kind::list) return {};
            return refuse("null");
        }
        std::vector<std::string> values;
        if (o.is_map && node.IsMap()) {
            for (const auto& one : node) {
                if (!one.second.IsScalar()) return refuse("no number");
                values.push_back(one.first.Scalar() + "=" + one.second.Scalar());
                settings scratch;
                if (!o.set(scratch, values.back())) {
                    return wrong(
                        one.second,
                        o.name + ": found `" + values.back() + "`; allowed: " + o.allowed);
                }
            }
        } else if (o.type == option::kind::list) {
            if (!node.IsSequence()) return refuse("no list");
            for (const auto& one : node) {
                if (!one.IsScalar()) return refuse("a list with something else in it");
                values.push_back(one.Scalar());
            }
        } else {
            if (!node.IsScalar()) return refuse(node.IsSequence() ? "a list" : "a mapping");
            const bool is_quoted = node.Tag() == "!";
            if (is_quoted && !o.is_text) return refuse("the text \"" + node.Scalar() + "\"");
            values.push_back(node.Scalar());
        }
        if (o.name == "hostname") {
            boost::system::error_code ec;
            boost::asio::ip::make_address(values.front(), ec);
            if (ec) return refuse("`" + values.front() + "`");
        }
        return apply(o, values, place(node), to_);
    }

    std::string place(const YAML::Node& node) const {
        return path_ + ":" + std::to_string(node.Mark().line + 1);
    }
    error wrong(const YAML::Node& node, const std::string& what) const {
        return {errc::invalid_config, place(node) + ": " + what};
    }

    error wrong_key(
        const YAML::Node& key, const std::string& section, const std::string& what) const {
        return wrong(key, "`" + section + "." + key.Scalar() + "`: " + what);
    }

    const std::string& path_;
    loaded& to_;
    std::map<std::string, std::set<std::string>> known_;
};

/// Hears a document and keeps nothing of it.
class deaf_handler final : public YAML::EventHandler {
    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
    void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
    void OnScalar(
        const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
    void OnSequenceStart(
        const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    }
    void OnSequenceEnd() override {}
    void OnMapStart(
        const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    }
    void OnMapEnd() override {}
};

/// `YAML::LoadAll` of yaml-cpp 0.7 would not do: a stray `]` makes it give documents for ever.
bool has_more_than_one_document(const std::string& text) {
    std::istringstream stream{text};
    YAML::Parser parser{stream};
    deaf_handler handler;
    return parser.HandleNextDocument(handler) && parser.HandleNextDocument(handler);
}

}  // namespace

result<> apply_file(const std::string& path, loaded& to) {
    std::error_code ec;
    if (std::filesystem::is_directory(path, ec)) {
        return error{errc::invalid_config, path + ": found a folder; give a file"};
    }
    std::ifstream file{path};
    if (!file) return error{errc::invalid_config, path + ": cannot be read"};
    std::ostringstream text;
    text << file.rdbuf();
    try {
        if (has_more_than_one_document(text.str())) {
            return error{
                errc::invalid_config,
                path + ": found more behind the end of the settings; give one YAML document"};
        }
        return reader{path, to}.read(YAML::Load(text.str()));
    } catch (const YAML::Exception& e) {
        return error{
            errc::invalid_config,
            path + ":" + std::to_string(e.mark.line + 1) + ": not YAML: " + e.msg};
    }
}

}  // namespace truffula::config
