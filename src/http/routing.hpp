#pragma once

#include "truffula/http/server.hpp"

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace truffula::http {

/// Which handler answers what. Pure; read by all threads.
class routing_table {
public:
    explicit routing_table(std::vector<route> routes);

    struct match {
        const handler* handle = nullptr;  ///< Null: `status` says why.
        int status = 200;                 ///< 404 or 405 without a handler.
        std::string allow;                ///< Methods of the path, for 405 and OPTIONS.
    };

    /// HEAD is answered by the path's GET.
    match find(std::string_view method, const std::string& path) const;

private:
    const std::vector<route>* routes_of(const std::string& path) const;

    std::unordered_map<std::string, std::vector<route>> by_path_;
    std::unordered_map<std::string, std::vector<route>> below_;  // by `/a/` of `/a/*`
};

/// Path and query of a request target, which may be absolute (`http://host/path?query`).
struct target_parts {
    std::string path;
    std::string query;
};
target_parts split_target(std::string_view target);

}  // namespace truffula::http
