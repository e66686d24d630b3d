#include "truffula/api/adapter_choice.hpp"

#include "api/adapter_rules.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <random>
#include <utility>

namespace truffula::api {
namespace {

constexpr std::string_view base_name = "__base_model__";

// Bytes. Names go into headers, and names and tokens are remembered.
constexpr std::size_t max_name = 1024;
constexpr std::size_t max_token = 4096;

// In the order of the enums.
constexpr std::array<std::string_view, 4> sources{"hub", "s3", "local", "pbase"};
constexpr std::array<std::string_view, 4> strategies{"linear", "ties", "dare_linear", "dare_ties"};
constexpr std::array<std::string_view, 2> sign_methods{"total", "frequency"};

template <class Enum, std::size_t Size>
std::optional<Enum> named(const std::array<std::string_view, Size>& names, std::string_view name) {
    std::string lower{name};
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) {
        return static_cast<char>(std::tolower(c));
    });
    const auto at = std::find(names.begin(), names.end(), lower);
    if (at == names.end()) return std::nullopt;
    return static_cast<Enum>(at - names.begin());
}

std::optional<adapter::merge_strategy> strategy_of(const merged_adapters_body& merge) {
    return named<adapter::merge_strategy>(strategies, merge.merge_strategy.value_or("linear"));
}

std::optional<adapter::sign_method> signs_of(const merged_adapters_body& merge) {
    return named<adapter::sign_method>(sign_methods, merge.majority_sign_method.value_or("total"));
}

error refusal(std::string why) {
    return {errc::validation, std::move(why)};
}

result<> check_size(const char* field, std::size_t size, std::size_t most) {
    if (size <= most) return {};
    return refusal(
        std::string{field} + " must have at most " + std::to_string(most) +
        " bytes. Given: " + std::to_string(size));
}

result<> check_merge(const merged_adapters_body& merge) {
    if (merge.ids.empty()) {  // 3
        return refusal("at least one adapter ID must be provided when setting `adapters`");
    }
    if (merge.ids.size() != merge.weights.size()) {  // 4
        return refusal("number of adapter IDs must match number of adapter weights");
    }
    if (!strategy_of(merge)) {
        return refusal("`merge_strategy` must be one of linear, ties, dare_linear, dare_ties");
    }
    if (!signs_of(merge)) {
        return refusal("`majority_sign_method` must be one of total, frequency");
    }
    if (std::any_of(merge.ids.begin(), merge.ids.end(), has_control_character)) {
        return refusal("`merged_adapters.ids` must not contain control characters");
    }
    std::size_t size = 0;
    for (const auto& id : merge.ids) size += id.size();
    return check_size("`merged_adapters.ids` together", size, max_name);
}

// What is no list: control characters and sizes.
result<> check_names(const generate_parameters& asked) {
    struct name {
        const char* field;
        const std::optional<std::string>& value;
    };
    for (const auto& [field, value] :
         {name{"`adapter_id`", asked.adapter_id}, name{"`adapter_source`", asked.adapter_source}}) {
        if (!value) continue;
        if (has_control_character(*value)) {
            return refusal(std::string{field} + " must not contain control characters");
        }
        if (auto fine = check_size(field, value->size(), max_name); !fine) return fine;
    }
    return check_size("`api_token`", asked.api_token ? asked.api_token->size() : 0, max_token);
}

std::string joined(const std::vector<std::string>& ids) {
    std::string text;
    for (const auto& id : ids) {
        if (id == base_name) continue;
        if (!text.empty()) text += ',';
        text += id;
    }
    return text;
}

adapter::parameters adapters_of(const generate_parameters& asked) {
    adapter::parameters what;
    if (const auto& merge = asked.merged_adapters) {
        what.ids = merge->ids;
        what.weights = merge->weights;
        what.strategy = strategy_of(*merge).value_or(adapter::merge_strategy::linear);
        what.density = merge->density;
        what.signs = signs_of(*merge).value_or(adapter::sign_method::total);
    } else if (asked.adapter_id && !asked.adapter_id->empty() && *asked.adapter_id != base_name) {
        what.ids = {*asked.adapter_id};
    }
    return what;
}

// Tells tenants apart by their tokens, without giving anything of a token away.
std::string tenant_of_token(std::string_view token) {
    static const auto salt = std::to_string(std::random_device{}());
    const auto hash = std::hash<std::string>{}(salt + std::string{token});
    return "token-" + std::to_string(hash);
}

bool is_preloaded(const adapter_choice& choice, const shard::model_info& model) {
    const auto& loaded = model.preloaded_adapters;
    const auto same = [&](const auto& p) { return p.what.ids == choice.ref.what.ids; };
    return std::any_of(loaded.begin(), loaded.end(), same);
}

}  // namespace

bool has_control_character(std::string_view name) noexcept {
    for (std::size_t i = 0; i < name.size(); ++i) {
        const auto c = static_cast<unsigned char>(name[i]);
        if (c < 0x20 || c == 0x7F) return true;
        if (c == 0xC2 && i + 1 < name.size() && static_cast<unsigned char>(name[i + 1]) < 0xA0) {
            return true;
        }
    }
    return false;
}

result<> check_adapter(const generate_parameters& asked) {
    if (asked.adapter_id && asked.merged_adapters) {  // 2
        return refusal("at most one of `adapter_id` or `adapters` may be provided");
    }
    if (asked.merged_adapters) {
        if (auto merge = check_merge(*asked.merged_adapters); !merge) return merge;
    }
    return check_names(asked);
}

adapter_choice choose_adapter(
    const generate_parameters& asked,
    std::string_view default_source,
    std::optional<std::string_view> tenant_header) {
    adapter_choice choice;
    choice.source_name = asked.adapter_source.value_or(std::string{default_source});
    const auto source = named<adapter::source>(sources, choice.source_name);
    choice.is_source_known = source.has_value();
    choice.ref.what = adapters_of(asked);
    choice.ref.from = source.value_or(adapter::source::hub);
    choice.ref.api_token = asked.api_token.value_or("");
    choice.ref.is_single = !asked.merged_adapters;
    if (tenant_header && !tenant_header->empty()) {
        choice.ref.tenant = *tenant_header;
    } else if (!choice.ref.api_token.empty()) {
        choice.ref.tenant = tenant_of_token(choice.ref.api_token);
    }
    return choice;
}

result<> check_source(const adapter_choice& choice, const shard::model_info& model) {
    if (choice.is_source_known || choice.ref.is_base()) return {};
    if (is_preloaded(choice, model)) return {};
    return error{
        errc::no_adapter,
        "Invalid source '" + choice.source_name + "' when downloading adapter '" +
            joined(choice.ref.what.ids) + "'"};
}

result<> check_allowed(
    const adapter_choice& choice,
    const std::set<std::string, std::less<>>& allowed,
    const shard::model_info& model) {
    if (allowed.empty() || choice.ref.is_base() || is_preloaded(choice, model)) return {};
    for (const auto& id : choice.ref.what.ids) {
        if (id == base_name || allowed.contains(id)) continue;
        return error{
            errc::unknown_model, "The adapter `" + id + "` does not exist or may not be used"};
    }
    return {};
}

std::string adapter_header(const generate_parameters& asked) {
    auto text = joined(adapters_of(asked).ids);
    if (has_control_character(text)) text.clear();
    return text;
}

}  // namespace truffula::api
