#include "api/openai/text_call.hpp"

#include "api/read_body.hpp"

#include <algorithm>
#include <utility>

namespace truffula::api::openai {

namespace asio = boost::asio;

std::vector<renamed> names_of(const text_plan& plan, std::string_view prompt_name) {
    std::vector<renamed> names{
        {"inputs", prompt_name},
        {"max_new_tokens", plan.length_name},
        {"truncate", "truncate_prompt_tokens"},
        {"decoder_input_details", "logprobs"},
        {"return_k_alternatives", "logprobs"},
        {"adapters", "merged_adapters"},
    };
    if (plan.n == plan.parameters.sequences()) names.push_back({"best_of", "n"});
    const auto& adapter = plan.parameters.adapter_id;
    if (adapter && *adapter == plan.model) names.push_back({"adapter_id", "model"});
    return names;
}

std::vector<std::shared_ptr<const generation_call>> make_calls(
    shared_services with, const http::request& from, const text_plan& plan, bool adds_special) {
    std::vector<std::shared_ptr<const generation_call>> calls;
    const auto tenant = from.header("x-predibase-tenant");
    auto parameters = plan.parameters;
    if (!parameters.api_token) parameters.api_token = bearer_token(from);
    for (const auto& prompt : plan.prompts) {
        auto call = std::make_shared<generation_call>();
        call->started = std::chrono::steady_clock::now();
        call->observer = with->observer;
        call->thread = from.thread;
        call->is_streamed = plan.is_streamed;
        call->streams_all = with->compat == compat::openai;
        call->first_seed = plan.first_seed;
        if (tenant) call->tenant = *tenant;
        call->terms = read_terms(from);
        call->body.inputs = prompt.text;
        call->body.ids = prompt.ids;
        call->body.adds_special = adds_special;
        call->body.parameters = parameters;
        call->with = with;
        calls.push_back(std::move(call));
    }
    return calls;
}

asio::awaitable<result<running_text>> begin_text(std::shared_ptr<text_call> call) {
    sequence_set::streams all;
    std::vector<std::uint32_t> lengths;
    for (const auto& prompt : call->prompts) {
        auto begun = co_await begin_generation(prompt);
        if (!begun) co_return begun.error();
        lengths.push_back(begun->input_length);
        for (auto& s : begun->sequences) all.push_back(std::move(s));
    }
    const auto per_prompt = all.size() / lengths.size();
    const auto executor = co_await asio::this_coro::executor;
    sequence_set sequences{executor, std::move(all)};
    running_text running{std::move(sequences), std::move(lengths), per_prompt};
    co_return running;
}

http::response text_error(const text_call& call, const error& e) {
    auto answer =
        call.is_lorax() ? error_response(e) : fault_response(describe_fault(e, call.names));
    if (e.code == errc::overloaded) {
        const auto& retry = call.with().retry_after;
        if (retry) {
            answer.headers.emplace_back("retry-after", std::to_string(retry().count()));
        } else if (!call.is_lorax()) {
            answer.headers.emplace_back("retry-after", "1");
        }
    }
    return answer;
}

http::response shutting_down(const services& with) {
    const error e{errc::shutting_down, "The router is shutting down"};
    return with.compat == compat::lorax ? error_response(e) : fault_response(describe_fault(e));
}

http::response refusal(const services& with, rejection why) {
    if (with.compat == compat::lorax) return rejection_response(std::move(why));
    return fault_response(describe_fault(why));
}

}  // namespace truffula::api::openai
