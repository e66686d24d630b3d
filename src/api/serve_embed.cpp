#include "api/handlers.hpp"
#include "api/pooling.hpp"
#include "api/read_body.hpp"
#include "truffula/api/answers.hpp"
#include "truffula/api/json_text.hpp"

#include <utility>

namespace truffula::api {

namespace asio = boost::asio;

asio::awaitable<http::response> serve_embed(shared_services with, shared_request from) {
    if (with->is_shutting_down()) co_return shutting_down_response();
    auto read = co_await read_body<embed_body>(with, from, embed_body::schema());
    if (!read) co_return error_response(read.error());
    if (read->refused) co_return rejection_response(std::move(*read->refused));
    with->observer->counted();
    auto call = make_pooling_call(with, *from, inference::task::embed);
    call->inputs.emplace_back();
    call->inputs.back().text = std::move(read->body.inputs);
    name_adapter(std::move(read->body.parameters), call->adapter);
    pooling_watch watch{with->observer};
    const auto outputs = co_await run_pooling(call);
    if (!outputs) co_return pooling_error(*with, watch, outputs.error());
    watch.succeeded(summarize(*call, *outputs, std::chrono::steady_clock::now()));
    http::response answer;
    answer.content_type = "application/json";
    answer.body = "{\"embeddings\":";
    append_floats(answer.body, outputs->front().answer->embedding);
    answer.body += '}';
    co_return answer;
}

}  // namespace truffula::api
