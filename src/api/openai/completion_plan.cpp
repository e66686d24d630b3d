#include "api/openai/plan_parts.hpp"
#include "api/openai/token_ids.hpp"

#include <nlohmann/json.hpp>

#include <utility>

namespace truffula::api::openai {
namespace {

using json = nlohmann::ordered_json;

constexpr auto prompt_wanted =
    "`prompt` must be a string, a list of strings, a list of token ids, or a list of lists of "
    "token ids; no list may be empty";

refused read_prompts(text_or_json&& given, std::vector<given_prompt>& to) {
    const auto refuse = [] { return invalid_field("prompt", prompt_wanted); };
    if (given.is_text) {
        to.push_back({std::move(given.text), std::nullopt});
        return std::nullopt;
    }
    const auto list = json::parse(given.text);
    if (!list.is_array() || list.empty()) return refuse();
    if (list.front().is_number()) {
        to.push_back({{}, std::vector<std::uint32_t>{}});
        if (!read_token_ids(list, *to.back().ids)) return refuse();
        return std::nullopt;
    }
    const bool are_texts = list.front().is_string();
    for (const auto& one : list) {
        to.emplace_back();
        if (are_texts && one.is_string()) {
            to.back().text = one.get<std::string>();
            continue;
        }
        if (are_texts || !one.is_array()) return refuse();
        to.back().ids.emplace();
        if (!read_token_ids(one, *to.back().ids)) return refuse();
    }
    return std::nullopt;
}

refused plan_sequences(const completion_body& body, text_plan& plan) {
    const auto shown = static_cast<std::int64_t>(plan.n);
    const auto best_of = body.best_of.value_or(shown);
    if (best_of < shown) {
        return invalid_field("best_of", "`best_of` must not be below `n`");
    }
    if (plan.is_streamed && best_of > shown) {
        return invalid_field("best_of", "`best_of` must be `n` when streaming tokens");
    }
    plan.parameters.best_of = static_cast<std::uint64_t>(best_of);
    return std::nullopt;
}

refused plan_logprobs(const completion_body& body, text_plan& plan) {
    if (!body.logprobs) return std::nullopt;
    constexpr std::int64_t most = 5;
    if (!fits(*body.logprobs, 0, most)) {
        return invalid_field("logprobs", "`logprobs` must be from 0 to 5");
    }
    auto& p = plan.parameters;
    plan.logprobs = static_cast<std::uint32_t>(*body.logprobs);
    p.details = true;
    p.decoder_input_details = plan.echo;
    if (*body.logprobs > 0) p.return_k_alternatives = static_cast<std::int32_t>(*body.logprobs);
    return std::nullopt;
}

}  // namespace

std::optional<fault> plan_completion(
    completion_body&& body, std::string_view base_model, text_plan& plan) {
    constexpr std::int64_t usual_max_tokens = 16;  // OpenAI's
    if (body.suffix && !body.suffix->empty()) {
        return unsupported("suffix", "leave it out or give an empty text");
    }
    const auto seed = std::exchange(body.seed, std::nullopt);
    if (!body.max_tokens) body.max_tokens = usual_max_tokens;
    plan.drops_answer = body.max_tokens == 0;
    if (plan.drops_answer) body.max_tokens = 1;
    if (auto f = plan_text(body, base_model, plan)) return f;
    if (auto f = plan_sequences(body, plan)) return f;
    plan_seed(plan, seed);
    plan.echo = body.echo.value_or(false);
    if (auto f = plan_logprobs(body, plan)) return f;
    return read_prompts(std::move(body.prompt), plan.prompts);
}

}  // namespace truffula::api::openai
