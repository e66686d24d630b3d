#pragma once

#include "truffula/api/native.hpp"

#include <memory>
#include <vector>

namespace truffula::api {

/// `/api-doc/openapi.json` and, below `/docs`, a page that shows it. The page is part of the
/// binary and asks no other host for anything.
std::vector<route> docs_routes(std::shared_ptr<const services> with);

}  // namespace truffula::api
