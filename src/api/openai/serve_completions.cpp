#include "api/openai/text_call.hpp"
#include "api/read_body.hpp"

#include <algorithm>
#include <ctime>
#include <utility>

namespace truffula::api::openai {
namespace {

namespace asio = boost::asio;

/// Gives prompts of token ids their texts.
asio::awaitable<result<std::vector<given_prompt>>> decode(
    shared_services with, std::vector<given_prompt> prompts) {
    if (!with->encoder) {
        co_return error{
            errc::no_tokenizer, "`prompt` must be text: token ids need the model's tokenizer"};
    }
    const auto how = with->encoder;
    auto work = [how, p = std::move(prompts)]() mutable -> result<std::vector<given_prompt>> {
        for (auto& prompt : p) {
            if (!prompt.ids) continue;
            auto text = how->decode(*prompt.ids);
            if (!text) return error{errc::validation, "`prompt`: " + text.error().detail};
            prompt.text = std::move(*text);
        }
        return std::move(p);
    };
    co_return co_await with->workers->run(std::move(work));
}

bool has_ids(const text_plan& plan) {
    return std::any_of(
        plan.prompts.begin(), plan.prompts.end(), [](const auto& p) { return p.ids.has_value(); });
}

// More could never run, however long they waited.
std::optional<fault> check_count(const text_plan& plan, const services& with) {
    const auto most = with.facts.max_concurrent_requests;
    if (plan.prompts.size() * plan.parameters.sequences() <= most) return std::nullopt;
    return invalid_field(
        "prompt",
        "`prompt` must not ask for more than " + std::to_string(most) + " answers at once");
}

asio::awaitable<http::response> serve(
    shared_services with, shared_request from, std::shared_ptr<text_call> call) {
    with->observer->counted();
    auto& plan = call->plan;
    call->names = names_of(plan, "prompt");
    if (has_ids(plan)) {
        auto prompts = co_await decode(with, std::move(plan.prompts));
        if (!prompts) {
            with->observer->failed(failure_kind(prompts.error()));
            co_return fault_response(describe_fault(prompts.error()));
        }
        plan.prompts = std::move(*prompts);
    }
    if (with->compat == compat::lorax) {
        call->writer = make_lorax_completion_writer(plan);
    } else {
        answer_facts facts{unique_id("cmpl-"), std::time(nullptr), plan.model, fingerprint(*with)};
        call->writer = make_completion_writer(plan, std::move(facts), call->names);
    }
    constexpr bool adds_special = true;
    call->prompts = make_calls(with, *from, plan, adds_special);
    co_return co_await answer_text(std::move(call));
}

asio::awaitable<http::response> serve_lorax(shared_services with, shared_request from) {
    auto read =
        co_await read_body<lorax_completion_body>(with, from, lorax_completion_body::schema());
    if (!read) co_return error_response(read.error());
    if (read->refused) co_return rejection_response(std::move(*read->refused));
    auto call = std::make_shared<text_call>();
    call->plan = plan_lorax_completion(std::move(read->body), with->facts.model_id);
    co_return co_await serve(with, from, std::move(call));
}

}  // namespace

std::string fingerprint(const services& with) {
    return with.facts.version + "-" + with.facts.docker_label.value_or("native");
}

asio::awaitable<http::response> serve_completions(shared_services with, shared_request from) {
    if (with->is_shutting_down()) co_return shutting_down(*with);
    if (with->compat == compat::lorax) co_return co_await serve_lorax(with, from);
    auto read = co_await read_body<completion_body>(with, from, completion_body::schema());
    if (!read) co_return fault_response(describe_fault(read.error()));
    if (read->refused) co_return refusal(*with, std::move(*read->refused));
    auto call = std::make_shared<text_call>();
    auto& plan = call->plan;
    auto refused = plan_completion(std::move(read->body), with->facts.model_id, plan);
    if (!refused) refused = check_count(plan, *with);
    if (refused) {
        with->observer->counted();
        with->observer->failed("validation");
        co_return fault_response(*refused);
    }
    co_return co_await serve(with, from, std::move(call));
}

}  // namespace truffula::api::openai
