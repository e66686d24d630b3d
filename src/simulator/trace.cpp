#include "simulator/trace.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <istream>
#include <map>
#include <optional>
#include <ostream>
#include <unordered_map>
#include <utility>

namespace truffula::simulator {
namespace {

constexpr double longest_time = 1e8;  // seconds: three years
constexpr std::uint32_t most_tokens = 1'000'000;
constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

using fields = std::map<std::string, std::string, std::less<>>;
using line_fields = result<fields>;

error bad(std::string why) {
    return {errc::invalid_config, std::move(why)};
}

error bad_line(const std::string& name, std::size_t number, const std::string& why) {
    return bad(name + ":" + std::to_string(number) + ": " + why);
}

/// The cells of a line of CSV, quotes as RFC 4180 has them; nothing when a quote is not closed.
std::optional<std::vector<std::string>> split_csv(const std::string& line) {
    std::vector<std::string> cells(1);
    bool is_quoted = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (is_quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
            cells.back() += line[++i];
        } else if (c == '"') {
            is_quoted = !is_quoted;
        } else if (c == ',' && !is_quoted) {
            cells.emplace_back();
        } else {
            cells.back() += c;
        }
    }
    if (is_quoted) return std::nullopt;
    return cells;
}

line_fields read_csv(const std::vector<std::string>& columns, const std::string& line) {
    const auto cells = split_csv(line);
    if (!cells) return bad("a quote is not closed");
    if (cells->size() != columns.size()) {
        return bad(
            "expected " + std::to_string(columns.size()) + " cells, as in the first line; found " +
            std::to_string(cells->size()));
    }
    fields f;
    for (std::size_t i = 0; i < columns.size(); ++i) f[columns[i]] = (*cells)[i];
    return f;
}

line_fields read_json(const std::string& line) {
    const auto object = nlohmann::json::parse(line, nullptr, false);
    if (!object.is_object()) return bad("expected a JSON object");
    fields f;
    for (const auto& [key, value] : object.items()) {
        if (value.is_string()) f[key] = value.get<std::string>();
        if (value.is_number()) f[key] = value.dump();
    }
    return f;
}

const std::string* find(const fields& f, std::string_view name) {
    const auto found = f.find(name);
    return found == f.end() ? nullptr : &found->second;
}

result<double> read_time(const fields& f) {
    const auto* text = find(f, "time_s");
    if (text == nullptr) return bad("time_s is missing");
    double value = 0;
    const auto read = std::from_chars(text->data(), text->data() + text->size(), value);
    const bool is_number = read.ec == std::errc{} && read.ptr == text->data() + text->size();
    if (is_number && value >= 0 && value <= longest_time) return value;
    return bad("time_s: '" + *text + "': expected seconds, 0 to 100000000");
}

result<std::uint32_t> read_tokens(const fields& f, std::string_view name) {
    const auto* text = find(f, name);
    if (text == nullptr) return bad(std::string{name} + " is missing");
    std::uint32_t value = 0;
    const auto read = std::from_chars(text->data(), text->data() + text->size(), value);
    const bool is_number = read.ec == std::errc{} && read.ptr == text->data() + text->size();
    if (is_number && value >= 1 && value <= most_tokens) return value;
    return bad(
        std::string{name} + ": '" + *text + "': expected a whole number of tokens, 1 to 1000000");
}

/// A name; empty where there is none. Routers refuse control characters in names, and a line of CSV
/// ends at one.
result<std::string> read_name(const fields& f, std::string_view key) {
    const auto* text = find(f, key);
    if (text == nullptr) return std::string{};
    const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
    if (std::ranges::none_of(*text, is_control)) return *text;
    return bad(std::string{key} + ": expected a name without control characters");
}

/// Numbers the names as they come.
class name_table {
public:
    explicit name_table(std::vector<std::string>& names) : names_(names) {
        for (std::uint32_t i = 0; i < names.size(); ++i) index_[names[i]] = i;
    }

    std::uint32_t operator()(const std::string& name) {
        const auto [at, is_new] =
            index_.try_emplace(name, static_cast<std::uint32_t>(names_.size()));
        if (is_new) names_.push_back(name);
        return at->second;
    }

private:
    std::vector<std::string>& names_;
    std::unordered_map<std::string, std::uint32_t> index_;
};

class reader {
public:
    result<> add(const line_fields& line) {
        if (!line) return line.error();
        arrival a;
        const auto time = read_time(*line);
        if (!time) return time.error();
        a.at = duration{std::llround(*time * 1e9)};
        const auto input = read_tokens(*line, "input_tokens");
        if (!input) return input.error();
        a.input_tokens = *input;
        const auto output = read_tokens(*line, "output_tokens");
        if (!output) return output.error();
        a.output_tokens = *output;
        const auto* priority = find(*line, "priority");
        if (priority != nullptr && !priority->empty()) {
            a.is_batch = *priority == "batch";
            if (!a.is_batch && *priority != "interactive") {
                return bad("priority: '" + *priority + "': expected interactive or batch");
            }
        }
        if (find(*line, "adapter") == nullptr) {
            return bad("adapter is missing (empty: the base model)");
        }
        const auto adapter = read_name(*line, "adapter");
        if (!adapter) return adapter.error();
        const auto tenant = read_name(*line, "tenant");
        if (!tenant) return tenant.error();
        a.adapter = adapters_(*adapter);
        a.tenant = tenants_(tenant->empty() ? "default" : *tenant);
        out.requests.arrivals.push_back(a);
        return {};
    }

    trace out{{{}, {""}, {}}, {}};

private:
    name_table adapters_{out.requests.adapters};
    name_table tenants_{out.requests.tenants};
};

std::string quoted(const std::string& text) {
    if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
    std::string q = "\"";
    for (const auto c : text) {
        if (c == '"') q += '"';
        q += c;
    }
    return q + '"';
}

}  // namespace

result<trace> read_trace(std::istream& from, const std::string& name, on_bad_line on_bad) {
    reader r;
    std::vector<std::string> columns;
    bool is_json = false;
    bool is_first = true;
    std::string line;
    for (std::size_t number = 1; std::getline(from, line); ++number) {
        // Spreadsheets begin a CSV file with a byte order mark.
        if (number == 1 && line.starts_with(byte_order_mark)) line.erase(0, byte_order_mark.size());
        if (!line.empty() && line.back() == '\r') line.pop_back();
        if (line.empty()) continue;
        if (std::exchange(is_first, false)) {
            is_json = line.front() == '{';
            if (!is_json) {
                columns = split_csv(line).value_or(std::vector<std::string>{});
                if (std::ranges::find(columns, "time_s") != columns.end()) continue;
                return bad_line(
                    name,
                    number,
                    "expected JSON lines, or names of columns: "
                    "time_s,adapter,tenant,input_tokens,output_tokens");
            }
        }
        const auto added = r.add(is_json ? read_json(line) : read_csv(columns, line));
        if (added) continue;
        const auto why = added.error().detail;
        if (on_bad == on_bad_line::stop) {
            return bad_line(name, number, why + " (--on-bad-line skip leaves such lines out)");
        }
        r.out.skipped.push_back({number, why});
    }
    if (r.out.requests.arrivals.empty()) return bad(name + ": no request in it");
    std::ranges::stable_sort(r.out.requests.arrivals, {}, &arrival::at);
    return std::move(r.out);
}

void write_trace(std::ostream& to, const workload& from) {
    to << "time_s,adapter,tenant,input_tokens,output_tokens,priority\n";
    for (const auto& a : from.arrivals) {
        std::array<char, 32> time{};
        std::snprintf(time.data(), time.size(), "%.9f", static_cast<double>(a.at.count()) / 1e9);
        to << time.data() << ',' << quoted(from.adapters[a.adapter]) << ','
           << quoted(from.tenants[a.tenant]) << ',' << a.input_tokens << ',' << a.output_tokens
           << ',' << (a.is_batch ? "batch" : "interactive") << '\n';
    }
}

}  // namespace truffula::simulator
