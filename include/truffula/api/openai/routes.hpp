#pragma once

#include "truffula/api/native.hpp"

#include <memory>
#include <vector>

namespace truffula::api::openai {

/// The routes below `/v1/`, in the way that `services::compat` says.
std::vector<route> openai_routes(std::shared_ptr<const services> with);

}  // namespace truffula::api::openai
