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
    prompt.tools = std::move(chat.tools);
    prompt.arguments = std::move(chat.arguments);
    prompt.guideline = std::move(chat.guideline);
    prompt.add_generation_prompt = chat.add_generation_prompt;
    prompt.continue_final_message = chat.continue_final_message;
    prompt.template_name = std::move(chat.template_name);
    return prompt;
}

/// Gives the tools to the template and the shard their schema. In `openai` mode a model that may
/// call none does not hear of them.
result<> prepare_tools(
    const services& with,
    const std::optional<text::chat_template>& by,
    text_plan& plan,
    chat_plan& chat) {
    const bool is_lorax = with.compat == compat::lorax;
    if (chat.tools.empty()) return {};
    if (is_lorax && plan.parameters.response_format) {
        return error{errc::tool_error, "Response format and tools are mutually exclusive"};
    }
    const auto tools = text::tool_set::read(chat.tools, chat.choice);
    if (!tools) return tools.error();
    if (tools->schema().empty() && !is_lorax) {
        chat.tools.clear();
        return {};
    }
    chat.tools = tools->json();
    const bool are_shown = by && by->uses_tools(chat.template_name);
    const auto words = tools->prompt(are_shown, chat.tool_prompt);
    auto messages = text::append_tool_prompt(chat.messages, words, chat.hears_of_tools);
    if (!messages) return messages.error();
    chat.messages = std::move(*messages);
    if (tools->schema().empty()) return {};
    plan.parameters.response_format = response_format_body{"json_schema", {tools->schema()}, true};
    plan.tools = tools->names();
    return {};
}

http::response refuse(const services& with, const error& e, std::string_view param) {
    with.observer->failed(failure_kind(e));
    if (with.compat == compat::lorax) return error_response(e);
    auto f = describe_fault(e);
    if (f.status == 400 && f.param.empty()) f.param = param;
    return fault_response(f);
}

std::unique_ptr<text_writer> make_writer(const services& with, text_call& call) {
    answer_facts facts;
    facts.created = std::time(nullptr);
    facts.fingerprint = fingerprint(with);
    if (with.compat == compat::lorax) {
        facts.model = with.facts.model_id;
        return make_lorax_chat_writer(call.plan, std::move(facts));
    }
    facts.id = unique_id("chatcmpl-");
    facts.model = call.plan.model;
    return make_chat_writer(call.plan, std::move(facts), call.names);
}

asio::awaitable<http::response> serve(
    shared_services with, shared_request from, std::shared_ptr<text_call> call, chat_plan chat) {
    with->observer->counted();
    auto& plan = call->plan;
    auto by = co_await choose_chat(with, plan.parameters);
    if (!by) co_return refuse(*with, by.error(), "model");
    if (const auto ready = prepare_tools(*with, *by, plan, chat); !ready) {
        co_return refuse(*with, ready.error(), "tool_choice");
    }
    auto rendered = co_await render_chat(with, std::move(*by), prompt_of(std::move(chat)));
    if (!rendered) co_return refuse(*with, rendered.error(), "messages");
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
    co_return co_await serve(with, from, std::move(call), std::move(chat));
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
    auto refused = plan_chat(std::move(read->body), with->facts.model_id, call->plan, chat);
    if (!refused && !with->vision && !chat.image_at.empty()) {
        refused =
            invalid_field(chat.image_at, "`" + chat.image_at + "`: the model reads no images");
    }
    if (refused) {
        with->observer->counted();
        with->observer->failed("validation");
        co_return fault_response(*refused);
    }
    co_return co_await serve(with, from, std::move(call), std::move(chat));
}

}  // namespace truffula::api::openai
