#include "truffula/http/cors.hpp"

#include <algorithm>

namespace truffula::http {
namespace {

std::string joined(const std::vector<std::string>& values, std::string_view none) {
    if (values.empty()) return std::string{none};
    std::string text;
    for (const auto& value : values) text += (text.empty() ? "" : ",") + value;
    return text;
}

void append(std::string& head, std::string_view name, std::string_view value) {
    head.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

result<cors> cors::create(const cors_settings& settings) {
    const auto& origins = settings.allow_origin;
    if (std::ranges::find(origins, "*") != origins.end()) {
        return error{
            errc::invalid_config,
            "cors_allow_origin: found `*`; leave the list out to allow any origin"};
    }
    const bool with_credentials = settings.allow_credentials.value_or(false);
    if (with_credentials && origins.empty()) {
        return error{
            errc::invalid_config,
            "cors_allow_credentials: true needs cors_allow_origin: browsers refuse credentials "
            "for any origin"};
    }
    cors made;
    made.origins_ = origins;
    append(
        made.always_,
        "vary",
        "origin, access-control-request-method, access-control-request-headers");
    if (origins.empty()) append(made.always_, "access-control-allow-origin", "*");
    if (!settings.expose_header.empty()) {
        append(made.always_, "access-control-expose-headers", joined(settings.expose_header, ""));
    }
    if (with_credentials) append(made.always_, "access-control-allow-credentials", "true");
    append(
        made.preflight_, "access-control-allow-methods", joined(settings.allow_method, "GET,POST"));
    append(
        made.preflight_,
        "access-control-allow-headers",
        joined(settings.allow_header, "content-type"));
    return made;
}

void cors::add(std::string& head, std::optional<std::string_view> origin) const {
    head += always_;
    if (origin && std::ranges::find(origins_, *origin) != origins_.end()) {
        append(head, "access-control-allow-origin", *origin);
    }
}

void cors::add_preflight(std::string& head) const {
    head += preflight_;
}

}  // namespace truffula::http
