#include "api/render_chat.hpp"

#include <utility>

namespace truffula::api {
namespace {

// Conversations above this are rendered by workers (bytes): some 100 µs.
constexpr std::size_t inline_render_bytes = 4096;

}  // namespace

boost::asio::awaitable<result<std::string>> render_chat(
    shared_services with, text::chat_prompt prompt) {
    if (!with->chat) co_return error{errc::template_error, "template not found"};
    prompt.now = std::chrono::system_clock::now();
    const auto by = *with->chat;
    if (prompt.messages.size() + prompt.tools.size() <= inline_render_bytes) {
        co_return by.render(prompt);
    }
    auto work = [by, p = std::move(prompt)] { return by.render(p); };
    co_return co_await with->workers->run(std::move(work));
}

}  // namespace truffula::api
