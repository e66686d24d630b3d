#include "api/openai/text_call.hpp"
#include "api/read_body.hpp"
#include "api/render_chat.hpp"

#include <ctime>
#include <utility>

namespace truffula::api::openai {
namespace {

namespace asio = boost::asio;

text::chat_prompt prompt_of(chat_plan&& chat) {
    text::chat_prompt prompt;
    prompt.messages = std::move(chat.messages);
    prompt.documents = std::move(chat.documents);
    prompt.arguments = std::move(chat.arguments);
    prompt.guideline = std::move(chat.guideline);
    prompt.add_generation_prompt = chat.add_generation_prompt;
    prompt.continue_final_message = chat.continue_final_message;
    prompt.template_name = std::move(chat.template_name);
    return prompt;
}

http::response template_fault(const services& with, const error& e) {
    if (with.compat == compat::lorax) return error_response(e);
    auto f = describe_fault(e);
    if (f.status == 400 && f.param.empty()) f.param = "messages";
    return fault_response(f);
}

std::unique_ptr<text_writer> make_writer(const services& with, text_call& call) {
    answer_facts facts;
    facts.created = std::time(nullptr);
    facts.fingerprint = fingerprint(with);
    if (with.compat == compat::lorax) {
        facts.model = with.facts.model_id;
        return make_lorax_chat_writer(std::move(facts));
    }
    facts.id = unique_id("chatcmpl-");
    facts.model = call.plan.model;
    return make_chat_writer(call.plan, std::move(facts), call.names);
}

asio::awaitable<http::response> serve(
    shared_services with,
    shared_request from,
    std::shared_ptr<text_call> call,
    text::chat_prompt prompt) {
    with->observer->counted();
    auto rendered = co_await render_chat(with, std::move(prompt));
    if (!rendered) {
        with->observer->failed(failure_kind(rendered.error()));
        co_return template_fault(*with, rendered.error());
    }
    auto& plan = call->plan;
    plan.prompts.push_back({std::move(*rendered), std::nullopt});
    call->names = names_of(plan, "messages");
    call->writer = make_writer(*with, *call);
    constexpr bool adds_special = false;  // the template has them
    call->prompts = make_calls(with, *from, plan, adds_special);
    co_return co_await answer_text(std::move(call));
}

asio::awaitable<http::response> serve_lorax(shared_services with, shared_request from) {
    auto read = co_await read_body<lorax_chat_body>(with, from, lorax_chat_body::schema());
    if (!read) co_return error_response(read.error());
    if (read->refused) co_return rejection_response(std::move(*read->refused));
    auto call = std::make_shared<text_call>();
    chat_plan chat;
    auto refused = plan_lorax_chat(std::move(read->body), with->facts.model_id, call->plan, chat);
    if (refused) co_return rejection_response(std::move(*refused));
    co_return co_await serve(with, from, std::move(call), prompt_of(std::move(chat)));
}

}  // namespace

asio::awaitable<http::response> serve_chat(shared_services with, shared_request from) {
    if (with->is_shutting_down()) co_return shutting_down(*with);
    if (with->compat == compat::lorax) co_return co_await serve_lorax(with, from);
    auto read = co_await read_body<chat_body>(with, from, chat_body::schema());
    if (!read) co_return fault_response(describe_fault(read.error()));
    if (read->refused) co_return refusal(*with, std::move(*read->refused));
    auto call = std::make_shared<text_call>();
    chat_plan chat;
    const auto refused = plan_chat(std::move(read->body), with->facts.model_id, call->plan, chat);
    if (refused) {
        with->observer->counted();
        with->observer->failed("validation");
        co_return fault_response(*refused);
    }
    co_return co_await serve(with, from, std::move(call), prompt_of(std::move(chat)));
}

}  // namespace truffula::api::openai
