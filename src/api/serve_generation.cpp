#include "api/generation.hpp"
#include "api/handlers.hpp"
#include "api/read_body.hpp"
#include "api/render_chat.hpp"
#include "truffula/api/answers.hpp"
#include "truffula/api/json_text.hpp"

#include <utility>

namespace truffula::api {
namespace {

namespace asio = boost::asio;

std::shared_ptr<const generation_call> make_call(
    shared_services with, const http::request& from, generate_body body, answer_way way) {
    auto call = std::make_shared<generation_call>();
    call->started = std::chrono::steady_clock::now();
    call->observer = with->observer;
    call->thread = from.thread;
    const bool is_switch = way == answer_way::asked;
    call->is_streamed = way == answer_way::streamed || (is_switch && body.stream);
    call->is_full_text =
        body.parameters.return_full_text.value_or(is_switch && with->is_full_text_default);
    if (!body.parameters.api_token) body.parameters.api_token = bearer_token(from);
    if (const auto tenant = from.header("x-predibase-tenant")) call->tenant = *tenant;
    call->terms = read_terms(from);
    call->body = std::move(body);
    call->with = std::move(with);
    return call;
}

// The prompt as what a user says.
text::chat_prompt one_message(std::string_view inputs) {
    text::chat_prompt prompt;
    prompt.messages = R"([{"role":"user","content":)";
    append_string(prompt.messages, inputs);
    prompt.messages += "}]";
    return prompt;
}

asio::awaitable<result<std::string>> render_inputs(
    shared_services with, const generate_body& body) {
    auto chat = co_await choose_chat(with, body.parameters);
    if (!chat) co_return chat.error();
    co_return co_await render_chat(with, std::move(*chat), one_message(body.inputs));
}

}  // namespace

http::response shutting_down_response() {
    return error_response({errc::shutting_down, "The router is shutting down"});
}

asio::awaitable<http::response> serve_generation(
    shared_services with, shared_request from, answer_way way) {
    if (with->is_shutting_down()) co_return shutting_down_response();
    const bool is_switch = way == answer_way::asked;
    const auto& schema = is_switch ? generate_body::switch_schema() : generate_body::schema();
    auto read = co_await read_body<generate_body>(with, from, schema);
    if (!read) co_return error_response(read.error());
    if (read->refused) co_return rejection_response(std::move(*read->refused));
    with->observer->counted();
    if (read->body.parameters.apply_chat_template) {
        auto prompt = co_await render_inputs(with, read->body);
        if (!prompt) {
            with->observer->failed(failure_kind(prompt.error()));
            co_return error_response(prompt.error());
        }
        read->body.inputs = std::move(*prompt);
        read->body.adds_special = false;
    }
    auto call = make_call(with, *from, std::move(read->body), way);
    if (call->is_streamed) co_return answer_streamed(std::move(call));
    co_return co_await answer_whole(std::move(call), is_switch);
}

}  // namespace truffula::api
