#include "api/compute_headers.hpp"
#include "api/handlers.hpp"
#include "api/pooling.hpp"
#include "api/read_body.hpp"
#include "truffula/api/answers.hpp"
#include "truffula/api/entities.hpp"

#include <utility>

namespace truffula::api {
namespace {

namespace asio = boost::asio;
using duration = std::chrono::steady_clock::duration;

http::response classified(std::string body, const pooling_summary& how, bool is_batch) {
    http::response answer;
    answer.content_type = "application/json";
    answer.body = std::move(body);
    answer.headers = {
        {"x-compute-type", "gpu+optimized"},
        {"x-compute-time", milliseconds(how.total)},
        // Of a batch it is 0 in LoRAX, whatever it took (contract section 9).
        {"x-validation-time", milliseconds(is_batch ? duration{} : how.validation)},
        {"x-queue-time", milliseconds(how.queue)},
        {"x-inference-time", milliseconds(how.inference)}};
    return answer;
}

/// The whole of both routes, after their bodies were read.
asio::awaitable<http::response> classify(std::shared_ptr<pooling_call> call, bool is_batch) {
    const auto& with = *call->with;
    pooling_watch watch{with.observer};
    const auto served = check_task(with.engine->model(), call->kind);
    if (!served) co_return pooling_error(with, watch, served.error());
    if (call->inputs.empty()) {
        const error nothing{errc::classification_failure, "Classification Failure"};
        co_return pooling_error(with, watch, nothing);
    }
    const auto outputs = co_await run_pooling(call);
    if (!outputs) co_return pooling_error(with, watch, outputs.error());
    auto how = summarize(*call, *outputs, std::chrono::steady_clock::now());
    std::string body{is_batch ? "[" : ""};
    for (std::size_t i = 0; i < outputs->size(); ++i) {
        const auto& input = call->inputs[i];
        const auto all = join_entities(input.text, input.tokens, *(*outputs)[i].answer);
        if (!all) co_return pooling_error(with, watch, all.error());
        how.entities += all->size();
        if (i > 0) body += ',';
        append_entities(body, *all);
    }
    if (is_batch) body += ']';
    watch.succeeded(how);
    co_return classified(std::move(body), how, is_batch);
}

}  // namespace

asio::awaitable<http::response> serve_classify(shared_services with, shared_request from) {
    if (with->is_shutting_down()) co_return shutting_down_response();
    auto read = co_await read_body<classify_body>(with, from, classify_body::schema());
    if (!read) co_return error_response(read.error());
    if (read->refused) co_return rejection_response(std::move(*read->refused));
    with->observer->counted();
    auto call = make_pooling_call(with, *from, inference::task::classify);
    call->inputs.emplace_back();
    call->inputs.back().text = std::move(read->body.inputs);
    constexpr bool is_batch = false;
    co_return co_await classify(std::move(call), is_batch);
}

asio::awaitable<http::response> serve_classify_batch(shared_services with, shared_request from) {
    if (with->is_shutting_down()) co_return shutting_down_response();
    auto read = co_await read_body<classify_batch_body>(with, from, classify_batch_body::schema());
    if (!read) co_return error_response(read.error());
    if (read->refused) co_return rejection_response(std::move(*read->refused));
    with->observer->counted();
    auto call = make_pooling_call(with, *from, inference::task::classify);
    for (auto& text : read->body.inputs) {
        call->inputs.emplace_back();
        call->inputs.back().text = std::move(text);
    }
    constexpr bool is_batch = true;
    co_return co_await classify(std::move(call), is_batch);
}

}  // namespace truffula::api
