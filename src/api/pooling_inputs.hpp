#pragma once

#include "api/pooling.hpp"

namespace truffula::api {

/// Encodes and checks all inputs: where they are when they are short, else in jobs for the workers
/// that others' go between.
///
/// \errors as a generation of one token; they name the input when there are several.
boost::asio::awaitable<result<>> prepare_inputs(std::shared_ptr<pooling_call> call);

/// A copy of the error that names the input, when there are several.
error at_input(const error& e, std::size_t at, std::size_t count);

}  // namespace truffula::api
