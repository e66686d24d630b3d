#include "truffula/api/openai/routes.hpp"

#include "api/openai/text_call.hpp"

#include <utility>

namespace truffula::api::openai {
namespace {

using serve = boost::asio::awaitable<http::response> (*)(shared_services, shared_request);

http::handler handled(shared_services with, serve by) {
    return [w = std::move(with), by](shared_request from) { return by(w, std::move(from)); };
}

}  // namespace

std::vector<route> openai_routes(std::shared_ptr<const services> with) {
    return {
        {"POST", "/v1/completions", handled(with, serve_completions)},
        {"POST", "/v1/embeddings", handled(with, serve_embeddings)},
        {"POST", "/v1/chat/completions", handled(with, serve_chat)},
        {"GET", "/v1/models", handled(with, serve_models)},
        {"GET", "/v1/models/*", handled(with, serve_model)},
    };
}

}  // namespace truffula::api::openai
