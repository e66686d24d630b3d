#pragma once

#include "truffula/error/error.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace truffula::http {

struct cors_settings {
    std::vector<std::string> allow_origin;  ///< Empty: any.
    std::vector<std::string> allow_method;  ///< Empty: GET and POST.
    std::vector<std::string> allow_header;  ///< Empty: content-type.
    std::vector<std::string> expose_header;
    std::optional<bool> allow_credentials;
};

/// Cross-origin headers as contract section 4 has them. Pure; any thread may read it.
class cors {
public:
    using headers = std::vector<std::pair<std::string, std::string>>;

    /// \errors `errc::invalid_config` for `*` among several origins or for credentials with any
    /// origin: browsers refuse both.
    static result<cors> create(const cors_settings& settings);

    /// Appends what every response carries.
    void add(std::string& head, std::optional<std::string_view> origin) const;

    /// Appends what the answer to an OPTIONS request carries besides.
    void add_preflight(std::string& head) const;

private:
    std::vector<std::string> origins_;
    std::string always_;
    std::string preflight_;
};

}  // namespace truffula::http
