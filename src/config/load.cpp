#include "truffula/config/load.hpp"

#include "config/option.hpp"
#include "config/sources.hpp"

#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <utility>

extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace truffula::config {
namespace {

constexpr std::string_view lorax_program = "lorax-router";

std::optional<std::string> first_repeated(std::vector<std::string> names) {
    std::ranges::sort(names);
    const auto found = std::ranges::adjacent_find(names);
    if (found == names.end()) return std::nullopt;
    return *found;
}

std::vector<std::string> tenants_of(const std::vector<std::string>& weights) {
    std::vector<std::string> names;
    names.reserve(weights.size());
    for (const auto& text : weights) names.push_back(read_weight(text).value().first);
    return names;
}

/// What no single option can tell.
std::optional<error> contradiction(const loaded& l) {
    const auto& s = l.values;
    const auto where = [&l](const char* key) {
        const auto found = l.origins.find(key);
        return found == l.origins.end() ? std::string{"default"} : found->second;
    };
    if (s.text.tokenizer_name.empty()) {
        return error{
            errc::invalid_config,
            "--tokenizer-name: found nothing; give the model's directory or id (or "
            "text.tokenizer_name in the file, or TOKENIZER_NAME)"};
    }
    if (s.server.ngrok) {
        return error{
            errc::invalid_config,
            where("server.ngrok") + ": ngrok: tunnels are not supported; leave it out"};
    }
    if (s.batching.max_input_length >= s.batching.max_total_tokens) {
        return error{
            errc::invalid_config,
            where("batching.max_input_length") + ": max_input_length: found " +
                std::to_string(s.batching.max_input_length) + "; must be below max_total_tokens (" +
                std::to_string(s.batching.max_total_tokens) + ", " +
                where("batching.max_total_tokens") + ")"};
    }
    if (s.adapters.pinned.size() >= s.adapters.max_active_adapters) {
        return error{
            errc::invalid_config,
            where("adapters.pinned") + ": pinned: found " +
                std::to_string(s.adapters.pinned.size()) +
                " adapters; must be fewer than max_active_adapters (" +
                std::to_string(s.adapters.max_active_adapters) + ", " +
                where("adapters.max_active_adapters") + "), or no other adapter is ever served"};
    }
    if (const auto twice = first_repeated(s.adapters.pinned)) {
        return error{
            errc::invalid_config,
            where("adapters.pinned") + ": pinned: found " + *twice + " twice; name it once"};
    }
    if (const auto twice = first_repeated(tenants_of(s.scheduling.tenant_weights))) {
        return error{
            errc::invalid_config,
            where("scheduling.tenant_weights") + ": tenant_weights: found two weights of " +
                *twice + "; give it one"};
    }
    if (s.adapters.adapter_backoff_s > s.adapters.adapter_max_backoff_s) {
        return error{
            errc::invalid_config,
            where("adapters.adapter_backoff_s") + ": adapter_backoff_s: found " +
                std::to_string(s.adapters.adapter_backoff_s) +
                "; must not be above adapter_max_backoff_s (" +
                std::to_string(s.adapters.adapter_max_backoff_s) + ")"};
    }
    return std::nullopt;
}

/// Control characters as YAML writes them, so that whatever was given stays on its line.
std::string on_one_line(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string line;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte != 0x7f) {
            line += c;
        } else {
            line += {'\\', 'x', digits[byte >> 4U], digits[byte & 0xfU]};
        }
    }
    return line;
}

std::string quoted(std::string_view value) {
    std::string q = "\"";
    for (const auto c : value) {
        if (c == '"' || c == '\\') q += '\\';
        q += c;
    }
    return on_one_line(q + '"');
}

void warn_of_what_has_no_effect(loaded& l) {
    const auto& s = l.values;
    const auto warn = [&l](const char* what) { l.warnings.emplace_back(what); };
    if (!s.telemetry.otlp_endpoint.empty()) {
        warn("otlp_endpoint is accepted; no traces are exported yet");
    }
}

result<loaded> load_sources(
    const std::vector<std::string>& arguments, const environment& env, std::string_view program) {
    auto line = read_command_line(arguments);
    if (!line) return line.error();
    loaded out;
    if (line->print) {
        out.print = std::move(line->print);
        return out;
    }
    if (program.substr(program.rfind('/') + 1) == lorax_program) {
        out.values.server.compat = "lorax";
        out.origins["server.compat"] = "the program's name";
    }
    auto file = line->config_file;
    if (const auto named = env.find("TRUFFULA_CONFIG"); file.empty() && named != env.end()) {
        file = named->second;
    }
    if (!file.empty()) {
        if (auto ok = apply_file(file, out); !ok) return ok.error();
    }
    if (auto ok = apply_environment(env, out); !ok) return ok.error();
    if (auto ok = apply_command_line(*line, out); !ok) return ok.error();
    if (auto why = contradiction(out)) return std::move(*why);
    warn_of_what_has_no_effect(out);
    if (line->wants_print) out.print = print(out);
    if (line->wants_check) out.print = "the configuration is valid\n";
    return out;
}

}  // namespace

environment current_environment() {
    environment env;
    for (char** one = environ; *one != nullptr; ++one) {
        const std::string_view text{*one};
        const auto mark = text.find('=');
        if (mark != std::string_view::npos) {
            env.emplace(text.substr(0, mark), text.substr(mark + 1));
        }
    }
    return env;
}

result<loaded> load(
    const std::vector<std::string>& arguments, const environment& env, std::string_view program) {
    auto out = load_sources(arguments, env, program);
    if (!out) return error{out.error().code, on_one_line(out.error().detail)};
    return out;
}

std::string print(const loaded& config) {
    std::string text;
    std::string section;
    for (const auto& o : options()) {
        if (o.section != section) {
            section = o.section;
            text += section + ":\n";
        }
        const auto values = o.show(config.values);
        std::string shown;
        if (o.type == option::kind::list) {
            for (const auto& v : values) shown += (shown.empty() ? "" : ", ") + quoted(v);
            shown.insert(0, "[") += "]";
        } else if (values.empty() || values.front().empty()) {
            shown = "null";
        } else if (o.is_secret) {
            shown = "\"(hidden)\"";
        } else {
            shown = o.is_text ? quoted(values.front()) : values.front();
        }
        const auto origin = config.origins.find(o.key());
        text += "  " + o.name + ": " + shown + "  # " +
                (origin == config.origins.end() ? "default" : on_one_line(origin->second)) + "\n";
    }
    return text;
}

std::optional<float> joining_ratio(const settings& s) {
    constexpr float usual = 0.3F;  // LoRAX's
    const auto& b = s.batching;
    if (b.join == "auto") return std::nullopt;
    if (b.join == "ratio") return b.waiting_served_ratio.value_or(usual);
    return b.waiting_served_ratio;
}

std::uint32_t total_token_budget(
    const settings& s, std::optional<std::uint32_t> supported, bool generates) {
    const auto& b = s.batching;
    if (!generates) return b.max_batch_prefill_tokens;
    if (supported) return std::min(b.max_batch_total_tokens.value_or(*supported), *supported);
    constexpr std::uint32_t usual = 16'000;
    return b.max_batch_total_tokens.value_or(
        std::max({usual, b.max_total_tokens, b.max_batch_prefill_tokens}));
}

result<> check_budgets(const settings& s, std::uint32_t total, bool chunked_prefill) {
    const auto& b = s.batching;
    const auto refuse = [](const std::string& rule, std::uint32_t x, std::uint32_t y) {
        return error{
            errc::invalid_config,
            rule + ". Given: " + std::to_string(x) + " and " + std::to_string(y)};
    };
    if (!chunked_prefill && b.max_input_length > b.max_batch_prefill_tokens) {
        return refuse(
            "`max_batch_prefill_tokens` must be >= `max_input_length`",
            b.max_batch_prefill_tokens,
            b.max_input_length);
    }
    if (b.max_batch_prefill_tokens > total) {
        return refuse(
            "`max_batch_prefill_tokens` must be <= `max_batch_total_tokens`",
            b.max_batch_prefill_tokens,
            total);
    }
    if (b.max_total_tokens > total) {
        return refuse(
            "`max_total_tokens` must be <= `max_batch_total_tokens`", b.max_total_tokens, total);
    }
    return {};
}

}  // namespace truffula::config
