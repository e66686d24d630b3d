#pragma once

#include "truffula/api/generate_body.hpp"
#include "truffula/error/error.hpp"

namespace truffula::api {

/// Rules 2–4 of contract section 6, then: known merge strategy and sign method, and no control
/// characters in names, since these go into headers and logs, and no names or tokens beyond 1,024
/// and 4,096 bytes.
result<> check_adapter(const generate_parameters& asked);

}  // namespace truffula::api
