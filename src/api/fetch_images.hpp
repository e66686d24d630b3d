#pragma once

#include "api/handlers.hpp"
#include "truffula/api/vision.hpp"

#include <boost/asio/awaitable.hpp>

#include <string>

namespace truffula::api {

/// Fetches the images that a prompt names by URL, one after the other, within the limits that all
/// of them have together.
///
/// \errors `errc::validation` for the first that cannot be had; `errc::cancelled`, `errc::stopped`.
boost::asio::awaitable<result<fetched_images>> fetch_images(
    shared_services with, const std::string& inputs);

}  // namespace truffula::api
