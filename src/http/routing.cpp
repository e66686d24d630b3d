#include "http/routing.hpp"

#include <utility>

namespace truffula::http {

routing_table::routing_table(std::vector<route> routes) {
    for (auto& r : routes) by_path_[r.path].push_back(std::move(r));
}

routing_table::match routing_table::find(std::string_view method, const std::string& path) const {
    match found;
    const auto at = by_path_.find(path);
    if (at == by_path_.end()) {
        found.status = 404;
        return found;
    }
    const auto wanted = method == "HEAD" ? std::string_view{"GET"} : method;
    for (const auto& r : at->second) {
        if (!found.allow.empty()) found.allow += ',';
        found.allow += r.method == "GET" ? "GET,HEAD" : r.method;
        if (r.method == wanted) found.handle = &r.handle;
    }
    if (found.handle == nullptr) found.status = 405;
    return found;
}

target_parts split_target(std::string_view target) {
    const auto scheme = target.find("://");
    if (!target.starts_with('/') && scheme != std::string_view::npos) {
        const auto slash = target.find('/', scheme + 3);
        target = slash == std::string_view::npos ? "/" : target.substr(slash);
    }
    const auto mark = target.find('?');
    target_parts parts;
    parts.path = target.substr(0, mark);
    if (mark != std::string_view::npos) parts.query = target.substr(mark + 1);
    return parts;
}

}  // namespace truffula::http
