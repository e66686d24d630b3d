#include "truffula/api/native.hpp"

#include "api/handlers.hpp"

#include <utility>

namespace truffula::api {
namespace {

using serve = boost::asio::awaitable<http::response> (*)(shared_services, shared_request);

http::handler handled(shared_services with, serve by) {
    return [w = std::move(with), by](shared_request from) { return by(w, std::move(from)); };
}

http::handler generating(shared_services with, answer_way way) {
    return [w = std::move(with), way](shared_request from) {
        return serve_generation(w, std::move(from), way);
    };
}

}  // namespace

std::vector<route> native_routes(std::shared_ptr<const services> with) {
    return {
        {"POST", "/", generating(with, answer_way::asked)},
        {"POST", "/invocations", generating(with, answer_way::asked)},
        {"POST", "/generate", generating(with, answer_way::whole)},
        {"POST", "/generate_stream", generating(with, answer_way::streamed)},
        {"POST", "/embed", handled(with, serve_embed)},
        {"POST", "/classify", handled(with, serve_classify)},
        {"POST", "/classify_batch", handled(with, serve_classify_batch)},
        {"POST", "/tokenize", handled(with, serve_tokenize)},
        {"GET", "/", handled(with, serve_health)},
        {"GET", "/health", handled(with, serve_health)},
        {"GET", "/ping", handled(with, serve_health)},
        {"GET", "/startup", handled(with, serve_startup)},
        {"GET", "/info", handled(with, serve_info)},
        {"GET", "/metrics", handled(with, serve_metrics)},
    };
}

}  // namespace truffula::api
