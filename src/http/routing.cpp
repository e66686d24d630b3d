#include "http/routing.hpp"

#include <utility>

namespace truffula::http {

routing_table::routing_table(std::vector<route> routes) {
    for (auto& r : routes) {
        if (r.path.ends_with("/*")) {
            below_[r.path.substr(0, r.path.size() - 1)].push_back(std::move(r));
        } else {
            by_path_[r.path].push_back(std::move(r));
        }
    }
}

/// Those of the path itself, else of the longest `/a/*` that it is below.
const std::vector<route>* routing_table::routes_of(const std::string& path) const {
    if (const auto at = by_path_.find(path); at != by_path_.end()) return &at->second;
    if (below_.empty()) return nullptr;
    for (auto end = path.rfind('/'); end != std::string::npos && end > 0;
         end = path.rfind('/', end - 1)) {
        const auto at = below_.find(path.substr(0, end + 1));
        if (at != below_.end() && path.size() > end + 1) return &at->second;
    }
    return nullptr;
}

routing_table::match routing_table::find(std::string_view method, const std::string& path) const {
    match found;
    const auto* const routes = routes_of(path);
    if (routes == nullptr) {
        found.status = 404;
        return found;
    }
    const auto wanted = method == "HEAD" ? std::string_view{"GET"} : method;
    for (const auto& r : *routes) {
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
