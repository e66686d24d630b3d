#include "api/openai/plan_parts.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <limits>
#include <utility>

namespace truffula::api::openai {
namespace {

using json = nlohmann::ordered_json;

/// A field of vLLM's that no shard can heed, and what may be done instead.
struct foreign_field {
    const char* name;
    std::optional<raw_json> text_body::*value;
    const char* instead;
};

constexpr auto use_json = "leave it out; `guided_json` and `response_format` are";
constexpr std::array foreign_fields{
    foreign_field{"guided_regex", &text_body::guided_regex, use_json},
    foreign_field{"guided_choice", &text_body::guided_choice, use_json},
    foreign_field{"guided_grammar", &text_body::guided_grammar, use_json},
    foreign_field{"stop_token_ids", &text_body::stop_token_ids, "leave it out; `stop` is"},
    foreign_field{"allowed_token_ids", &text_body::allowed_token_ids, "leave it out"},
    foreign_field{"bad_words", &text_body::bad_words, "leave it out"},
    foreign_field{"use_beam_search", &text_body::use_beam_search, "leave it out or give false"},
    foreign_field{
        "prompt_logprobs",
        &text_body::prompt_logprobs,
        "leave it out; `echo` with `logprobs` is, on /v1/completions"},
};

bool asks_for_something(const std::optional<raw_json>& value) {
    return is_given(value) && value->text != "false" && value->text != "[]";
}

// What no shard can do is refused: ignoring it would give other answers than were asked for.
refused check_unsupported(const text_body& body) {
    const auto bias = is_given(body.logit_bias) ? json::parse(body.logit_bias->text) : json{};
    if (!bias.is_null() && !bias.is_object()) {
        return invalid_field("logit_bias", "`logit_bias` must be an object");
    }
    if (!bias.empty()) return unsupported("logit_bias", "leave it out or give an empty object");
    if (body.min_p.value_or(0.0F) != 0.0F) return unsupported("min_p", "leave it out or give 0");
    if (body.min_tokens.value_or(0) != 0) {
        return unsupported("min_tokens", "leave it out or give 0");
    }
    for (const auto& f : foreign_fields) {
        if (asks_for_something(body.*f.value)) return unsupported(f.name, f.instead);
    }
    return std::nullopt;
}

refused read_stop(const text_or_json& given, std::vector<std::string>& to) {
    constexpr auto wanted = "`stop` must be a string or a list of strings, none of them empty";
    const auto refuse = [&] { return invalid_field("stop", wanted); };
    if (given.is_text) {
        if (given.text.empty()) return refuse();
        to = {given.text};
        return std::nullopt;
    }
    const auto list = json::parse(given.text);
    if (!list.is_array()) return refuse();
    for (const auto& one : list) {
        if (!one.is_string() || one.get_ref<const std::string&>().empty()) return refuse();
        to.push_back(one.get<std::string>());
    }
    return std::nullopt;
}

refused plan_lengths(const text_body& body, text_plan& plan) {
    constexpr std::int64_t most = std::numeric_limits<std::uint32_t>::max();
    if (body.max_tokens) {
        if (!fits(*body.max_tokens, 1, most)) {
            const std::string name{plan.length_name};
            return invalid_field(
                name,
                "`" + name + "` must be at least 1. Given: " + std::to_string(*body.max_tokens));
        }
        plan.parameters.max_new_tokens = static_cast<std::uint32_t>(*body.max_tokens);
    }
    constexpr std::int64_t most_answers = 128;  // OpenAI's
    const auto n = body.n.value_or(1);
    if (!fits(n, 1, most_answers)) {
        return invalid_field("n", "`n` must be from 1 to 128. Given: " + std::to_string(n));
    }
    plan.n = static_cast<std::uint64_t>(n);
    plan.parameters.best_of = plan.n;
    plan.parameters.truncate = body.truncate_prompt_tokens;
    return std::nullopt;
}

refused plan_sampling(const text_body& body, text_plan& plan) {
    if (body.temperature && *body.temperature > 2.0F) {
        return invalid_field("temperature", "`temperature` must be at most 2");
    }
    auto& p = plan.parameters;
    const bool is_greedy = body.temperature == 0.0F;
    p.do_sample = !is_greedy;
    if (!is_greedy) p.temperature = body.temperature;
    p.top_p = body.top_p;
    p.typical_p = body.typical_p;
    p.presence_penalty = body.presence_penalty;
    p.frequency_penalty = body.frequency_penalty;
    p.repetition_penalty = body.repetition_penalty;
    p.watermark = body.watermark.value_or(false);
    p.ignore_eos_token = body.ignore_eos.value_or(body.ignore_eos_token.value_or(false));
    p.return_k_alternatives = body.return_k_alternatives;
    constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
    if (const auto k = body.top_k.value_or(0); k != 0 && k != -1) {
        if (!fits(k, 1, most)) {
            return invalid_field(
                "top_k",
                "`top_k` must be positive, or 0 or -1 for all. Given: " + std::to_string(k));
        }
        p.top_k = static_cast<std::int32_t>(k);
    }
    return std::nullopt;
}

void plan_adapter(text_body& body, std::string_view base_model, text_plan& plan) {
    auto& p = plan.parameters;
    p.merged_adapters = std::move(body.merged_adapters);
    p.adapter_id = std::move(body.adapter_id);
    if (!p.adapter_id && !p.merged_adapters) p.adapter_id = adapter_of(body.model, base_model);
    p.adapter_source = std::move(body.adapter_source);
    p.api_token = std::move(body.api_token);
    plan.model = std::move(body.model);
}

}  // namespace

fault unsupported(const std::string& name, const std::string& allowed) {
    auto f = invalid_field(name, "`" + name + "` is not supported: " + allowed);
    f.code = "unsupported_parameter";
    return f;
}

void plan_seed(text_plan& plan, const std::optional<std::int64_t>& seed) {
    if (!seed) return;
    const auto value = static_cast<std::uint64_t>(*seed);
    if (plan.parameters.sequences() > 1) {
        plan.first_seed = value;
    } else {
        plan.parameters.seed = value;
    }
}

std::optional<std::string> adapter_of(std::string_view model, std::string_view base_model) {
    if (model.empty() || model == base_model) return std::nullopt;
    return std::string{model};
}

std::optional<fault> plan_text(text_body& body, std::string_view base_model, text_plan& plan) {
    if (auto f = check_unsupported(body)) return f;
    plan.is_streamed = body.stream.value_or(false);
    if (body.stream_options && !plan.is_streamed) {
        return invalid_field(
            "stream_options", "`stream_options` is only allowed when `stream` is true");
    }
    if (const auto& options = body.stream_options) {
        plan.shows_usage = options->include_usage.value_or(false);
        plan.shows_each_usage = plan.shows_usage && options->continuous_usage_stats.value_or(false);
    }
    plan.keeps_stop = body.include_stop_str_in_output.value_or(false);
    if (body.stop) {
        if (auto f = read_stop(*body.stop, plan.parameters.stop)) return f;
    }
    if (auto f = plan_format(body, plan.parameters.response_format)) return f;
    if (auto f = plan_lengths(body, plan)) return f;
    if (auto f = plan_sampling(body, plan)) return f;
    plan_adapter(body, base_model, plan);
    plan_seed(plan, body.seed);
    return std::nullopt;
}

}  // namespace truffula::api::openai
