#pragma once

#include "api/handlers.hpp"
#include "truffula/api/generate_body.hpp"
#include "truffula/text/chat_template.hpp"

#include <boost/asio/awaitable.hpp>

#include <optional>
#include <string>

namespace truffula::api {

/// The templates for the adapter that a request names: its own if it has any on this machine, else
/// the base model's. Nothing: there are none at all.
///
/// \errors `errc::template_error`: those of the adapter are broken.
boost::asio::awaitable<result<std::optional<text::chat_template>>> choose_chat(
    shared_services with, const generate_parameters& asked);

/// Renders a conversation where it is, or on a worker when it is long.
///
/// \errors of the template; `errc::template_error` when there is none.
boost::asio::awaitable<result<std::string>> render_chat(
    shared_services with, std::optional<text::chat_template> by, text::chat_prompt prompt);

}  // namespace truffula::api
