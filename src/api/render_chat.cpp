#include "api/render_chat.hpp"

#include "truffula/api/adapter_choice.hpp"

#include <utility>

namespace truffula::api {
namespace {

namespace asio = boost::asio;
using templates = std::optional<text::chat_template>;

// Conversations above this are rendered by workers (bytes): some 100 µs.
constexpr std::size_t inline_render_bytes = 4096;

// The one adapter of source `local` that a request names and may use.
std::optional<std::string> local_adapter(const services& with, const generate_parameters& asked) {
    auto choice = choose_adapter(asked, with.default_adapter_source, std::nullopt);
    const auto& ref = choice.ref;
    const bool is_local = choice.is_source_known && ref.from == adapter::source::local;
    if (!is_local || !ref.is_single || ref.what.ids.size() != 1) return std::nullopt;
    const auto& id = ref.what.ids.front();
    if (!with.allowed_adapters.empty() && !with.allowed_adapters.contains(id)) return std::nullopt;
    return id;
}

}  // namespace

asio::awaitable<result<templates>> choose_chat(
    shared_services with, const generate_parameters& asked) {
    const auto& of = with->adapter_chats;
    if (!of) co_return with->chat;
    auto id = local_adapter(*with, asked);
    if (!id) co_return with->chat;
    auto look = [of, name = std::move(*id)] { return of->find(name); };
    auto own = co_await with->workers->run(std::move(look));
    if (!own) co_return own.error();
    if (!*own) co_return with->chat;
    co_return std::move(*own);
}

asio::awaitable<result<std::string>> render_chat(
    shared_services with, templates by, text::chat_prompt prompt) {
    if (!by) co_return error{errc::template_error, "template not found"};
    prompt.now = std::chrono::system_clock::now();
    if (prompt.messages.size() + prompt.tools.size() <= inline_render_bytes) {
        co_return by->render(prompt);
    }
    auto work = [t = std::move(*by), p = std::move(prompt)] { return t.render(p); };
    co_return co_await with->workers->run(std::move(work));
}

}  // namespace truffula::api
