#include "truffula/api/docs.hpp"

#include "api/docs_page/page.hpp"
#include "api/handlers.hpp"
#include "truffula/api/openapi.hpp"

#include <algorithm>
#include <utility>

namespace truffula::api {
namespace {

namespace asio = boost::asio;

http::response text_response(std::string_view type, std::string body) {
    http::response answer;
    answer.content_type = type;
    answer.body = std::move(body);
    return answer;
}

asio::awaitable<http::response> serve_page(shared_request from) {
    constexpr std::string_view folder = "/docs/";
    const auto name = std::string_view{from->path}.substr(folder.size());
    const auto files = docs_page_files();
    const auto same = [&](const docs_page_file& f) { return f.name == name; };
    const auto found = std::find_if(files.begin(), files.end(), same);
    if (found != files.end()) {
        co_return text_response(found->type, std::string{found->content});
    }
    auto none = text_response("text/plain; charset=utf-8", "There is no such page\n");
    if (files.empty()) {
        none.body =
            "This router was built without the page (npm was missing); the API's description is "
            "at /api-doc/openapi.json\n";
    }
    none.status = 404;
    co_return none;
}

asio::awaitable<http::response> redirect() {
    http::response answer;
    answer.status = 303;
    answer.headers.emplace_back("location", "/docs/");
    co_return answer;
}

}  // namespace

std::vector<route> docs_routes(std::shared_ptr<const services> with) {
    const auto document =
        std::make_shared<const std::string>(openapi_document(with->compat, with->facts.version));
    const auto serve_document =
        [](std::shared_ptr<const std::string> d) -> asio::awaitable<http::response> {
        co_return text_response("application/json", *d);
    };
    return {
        {"GET", "/api-doc/openapi.json", [=](shared_request) { return serve_document(document); }},
        {"GET", "/docs", [](shared_request) { return redirect(); }},
        {"GET", "/docs/", [](shared_request from) { return serve_page(std::move(from)); }},
        {"GET", "/docs/*", [](shared_request from) { return serve_page(std::move(from)); }},
    };
}

}  // namespace truffula::api
