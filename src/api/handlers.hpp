#pragma once

#include "truffula/api/native.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <memory>

namespace truffula::api {

using shared_services = std::shared_ptr<const services>;
using shared_request = std::shared_ptr<const http::request>;

/// How a generation route answers.
enum class answer_way : std::uint8_t {
    whole,     ///< One body.
    streamed,  ///< Events.
    asked,     ///< As `stream` says; a body comes in an array.
};

// One coroutine per route. While the router shuts down all but `/info` and `/metrics` answer 503.
boost::asio::awaitable<http::response> serve_generation(
    shared_services with, shared_request from, answer_way way);
boost::asio::awaitable<http::response> serve_embed(shared_services with, shared_request from);
boost::asio::awaitable<http::response> serve_classify(shared_services with, shared_request from);
boost::asio::awaitable<http::response> serve_classify_batch(
    shared_services with, shared_request from);
boost::asio::awaitable<http::response> serve_tokenize(shared_services with, shared_request from);
boost::asio::awaitable<http::response> serve_health(shared_services with, shared_request from);
boost::asio::awaitable<http::response> serve_startup(shared_services with, shared_request from);
boost::asio::awaitable<http::response> serve_info(shared_services with, shared_request from);
boost::asio::awaitable<http::response> serve_metrics(shared_services with, shared_request from);

/// The answer to a new request while the router shuts down.
http::response shutting_down_response();

}  // namespace truffula::api
