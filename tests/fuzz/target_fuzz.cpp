// Request targets: the part of a head that we, not Beast, take apart.
#include "fuzz_target.hpp"
#include "http/routing.hpp"
#include "truffula/api/openai/models.hpp"

using namespace truffula;

namespace {

http::route route(std::string method, std::string path) {
    http::route r;
    r.method = std::move(method);
    r.path = std::move(path);
    return r;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const http::routing_table table{
        {route("GET", "/health"), route("POST", "/"), route("GET", "/v1/models/*")}};
    const auto input = as_text(data, size);
    const auto parts = http::split_target(input);
    if (parts.path.size() + parts.query.size() > size + 1) __builtin_trap();
    if (parts.path.find('?') != std::string::npos) __builtin_trap();
    const auto found = table.find("GET", parts.path);
    if ((found.handle == nullptr) == (found.status == 200)) __builtin_trap();
    (void)api::openai::decode_path(parts.path);
    return 0;
}

std::vector<std::string> fuzz_seeds() {
    return {
        "/health",
        "/v1/models/a%2Fb%20?x=y?z",
        "http://host:80/v1/models/x#y",
        "://",
        "http://host?x",
        "*"};
}
