#pragma once

#include "api/handlers.hpp"
#include "truffula/text/chat_template.hpp"

#include <boost/asio/awaitable.hpp>

#include <string>

namespace truffula::api {

/// Renders a conversation where it is, or on a worker when it is long.
///
/// \errors of the template; `errc::template_error` when the model has none.
boost::asio::awaitable<result<std::string>> render_chat(
    shared_services with, text::chat_prompt prompt);

}  // namespace truffula::api
