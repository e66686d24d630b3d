#include "api/openai/text_call.hpp"
#include "truffula/api/openai/models.hpp"

#include <algorithm>
#include <utility>

namespace truffula::api::openai {
namespace {

namespace asio = boost::asio;

// Listing is work for the engine's thread, between two steps.
constexpr std::size_t most_listed = 1000;

asio::awaitable<result<std::vector<listed_model>>> ask_for_models(shared_services with) {
    auto known = co_await with->engine->known_adapters(most_listed);
    if (!known) co_return known.error();
    co_return list_models(with->facts.model_id, *known, with->allowed_adapters);
}

http::response json_response(std::string body) {
    http::response answer;
    answer.content_type = "application/json";
    answer.body = std::move(body);
    return answer;
}

}  // namespace

asio::awaitable<http::response> serve_models(shared_services with, shared_request) {
    auto models = co_await ask_for_models(with);
    if (!models) co_return fault_response(describe_fault(models.error()));
    std::string out = R"({"object":"list","data":[)";
    for (const auto& model : *models) {
        if (!model.is_base) out += ',';
        append_model(out, model, with->facts.model_id, with->facts.started);
    }
    co_return json_response(out + "]}");
}

asio::awaitable<http::response> serve_model(shared_services with, shared_request from) {
    constexpr std::string_view folder = "/v1/models/";
    const auto id = decode_path(std::string_view{from->path}.substr(folder.size()));
    auto models = co_await ask_for_models(with);
    if (!models) co_return fault_response(describe_fault(models.error()));
    const auto same = [&](const listed_model& m) { return id && m.id == *id; };
    const auto found = std::find_if(models->begin(), models->end(), same);
    if (found == models->end()) {
        const auto name = id.value_or(from->path.substr(folder.size()));
        const error e{errc::unknown_model, "The model `" + name + "` is not known"};
        co_return fault_response(describe_fault(e));
    }
    std::string out;
    append_model(out, *found, with->facts.model_id, with->facts.started);
    co_return json_response(std::move(out));
}

}  // namespace truffula::api::openai
