#include "api/collect.hpp"
#include "api/generation.hpp"
#include "api/handlers.hpp"
#include "api/pooling.hpp"
#include "truffula/api/answers.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

namespace truffula::api {
namespace {

namespace asio = boost::asio;

// The probe is none of the requests that metrics count.
class silent_observer final : public request_observer {
public:
    void counted() override {}
    void validated(std::uint32_t, std::uint32_t) override {}
    void streamed(std::size_t, std::chrono::steady_clock::duration) override {}
    void succeeded(const request_summary&) override {}
    void succeeded(const pooling_summary&) override {}
    void failed(std::string_view) override {}
};

std::shared_ptr<const generation_call> make_probe(shared_services with, std::size_t thread) {
    auto call = std::make_shared<generation_call>();
    call->started = std::chrono::steady_clock::now();
    call->observer = std::make_shared<silent_observer>();
    call->thread = thread;
    call->body.inputs = "Who?";
    call->body.parameters.max_new_tokens = 1;
    call->with = std::move(with);
    return call;
}

// Nothing when a real request is answered with text.
asio::awaitable<result<>> probe(std::shared_ptr<const generation_call> call) {
    auto running = co_await begin_generation(call);
    if (!running) co_return running.error();
    auto got = co_await collect(*running->sequences.front());
    if (!got) co_return got.error();
    if (got->end.text.empty()) co_return error{errc::empty_generation, "Empty generation"};
    co_return result<>{};
}

// Nothing when the model embeds or classifies a text.
asio::awaitable<result<>> probe_pooling(
    shared_services with, shared_request from, inference::task kind) {
    auto call = make_pooling_call(with, *from, kind);
    call->inputs.emplace_back();
    call->inputs.back().text = "San Francisco";
    const auto outputs = co_await run_pooling(call);
    if (!outputs) co_return outputs.error();
    co_return result<>{};
}

// All that the model serves, one after the other (contract section 13).
asio::awaitable<result<>> probe_all(shared_services with, shared_request from) {
    const auto model = with->engine->model();
    if (model.supports_classification && with->encoder) {
        auto state = co_await probe_pooling(with, from, inference::task::classify);
        if (!state) co_return state;
    }
    if (model.supports_embeddings) {
        auto state = co_await probe_pooling(with, from, inference::task::embed);
        if (!state) co_return state;
    }
    if (!model.supports_generation) co_return result<>{};
    co_return co_await probe(make_probe(with, from->thread));
}

bool wants_json(const http::request& from) {
    constexpr std::string_view json = "application/json";
    const auto accept = from.header("accept");
    if (!accept) return false;
    const auto same = [](unsigned char a, unsigned char b) { return std::tolower(a) == b; };
    return std::search(accept->begin(), accept->end(), json.begin(), json.end(), same) !=
           accept->end();
}

}  // namespace

asio::awaitable<http::response> serve_health(shared_services with, shared_request) {
    const error unhealthy{errc::unhealthy, "unhealthy"};
    if (with->is_shutting_down()) {
        auto answer = error_response(unhealthy);
        answer.close = true;
        co_return answer;
    }
    const auto state = co_await with->engine->health();
    if (!state) co_return error_response(unhealthy);
    co_return http::response{};
}

asio::awaitable<http::response> serve_startup(shared_services with, shared_request from) {
    if (with->is_shutting_down()) co_return shutting_down_response();
    const auto state = co_await probe_all(with, from);
    if (state) co_return http::response{};
    auto answer = error_response(state.error());
    answer.status = 500;
    co_return answer;
}

asio::awaitable<http::response> serve_metrics(shared_services with, shared_request from) {
    http::response answer;
    const bool as_json = wants_json(*from);
    answer.content_type = as_json ? "application/json" : "text/plain";
    answer.body = as_json ? with->metrics_json() : with->metrics_text();
    co_return answer;
}

}  // namespace truffula::api
