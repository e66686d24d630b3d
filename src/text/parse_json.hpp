#pragma once

#include "truffula/error/error.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace truffula::text {

/// Parses a document whose keys keep their order, at most 128 deep (what reads it is recursive).
///
/// \param path how the request calls it.
/// \errors `errc::validation` with the path: not JSON, too deep, a key that comes twice.
result<nlohmann::ordered_json> parse_json(std::string_view text, const std::string& path);

}  // namespace truffula::text
