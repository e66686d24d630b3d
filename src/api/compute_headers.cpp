#include "api/compute_headers.hpp"

#include "truffula/api/adapter_choice.hpp"
#include "truffula/api/json_text.hpp"

#include <algorithm>

namespace truffula::api {
namespace {

using std::to_string;

}  // namespace

std::string milliseconds(std::chrono::steady_clock::duration d) {
    const auto whole = std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
    return to_string(std::max<decltype(whole)>(whole, 0));
}

header_list common_headers(const generation_call& call) {
    header_list headers{
        {"x-compute-type", "gpu+optimized"},
        {"x-compute-characters", to_string(characters(call.body.inputs))},
        {"x-model-id", call.with->facts.model_id}};
    const auto& asked = call.body.parameters;
    if (auto ids = adapter_header(asked); !ids.empty()) {
        auto source = asked.adapter_source.value_or(call.with->default_adapter_source);
        headers.emplace_back("x-adapter-id", std::move(ids));
        if (!has_control_character(source)) {
            headers.emplace_back("x-adapter-source", std::move(source));
        }
    }
    return headers;
}

header_list whole_headers(
    const generation_call& call,
    const collected_answer& best,
    std::uint32_t prompt_tokens,
    std::chrono::steady_clock::time_point now) {
    const auto& times = best.times;
    const auto generated = best.end.generated_tokens;
    const auto inference = now - times.batched;
    const auto to_first = times.first_token - times.batched;
    const auto total = milliseconds(now - call.started);
    auto headers = common_headers(call);
    const auto add = [&](const char* name, std::string value) {
        headers.emplace_back(name, std::move(value));
    };
    add("x-compute-time", total);
    add("x-total-time", total);
    add("x-prompt-tokens", to_string(prompt_tokens));
    add("x-generated-tokens", to_string(generated));
    add("x-skipped-tokens", to_string(best.end.skipped_tokens));
    add("x-total-tokens", to_string(std::uint64_t{prompt_tokens} + generated));
    add("x-validation-time", milliseconds(times.created - call.started));
    add("x-queue-time", milliseconds(times.batched - times.created));
    add("x-inference-time", milliseconds(inference));
    add("x-time-per-token", milliseconds(inference / std::max(generated, 1U)));
    add("x-time-to-first-token", milliseconds(to_first));
    const auto later = generated > 1 ? generated - 1 : 1;
    add("x-time-per-output-token", milliseconds((inference - to_first) / later));
    return headers;
}

}  // namespace truffula::api
