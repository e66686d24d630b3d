#include "api/handlers.hpp"
#include "api/read_body.hpp"
#include "truffula/api/answers.hpp"
#include "truffula/api/json_text.hpp"

#include <utility>

namespace truffula::api {
namespace {

namespace asio = boost::asio;
using shared_body = std::shared_ptr<const tokenize_body>;

// The whole body: for a long text writing it is work too.
result<std::string> tokenize(const encoder& how, const tokenize_body& body) {
    const auto spans = how.spans(body.inputs, body.add_special_tokens.value_or(true));
    if (!spans) return error{errc::validation, "tokenizer error " + spans.error().detail};
    std::string out{'['};
    for (const auto& span : *spans) {
        out += out.size() > 1 ? ",{\"id\":" : "{\"id\":";
        append_number(out, span.id);
        out += ",\"text\":";
        append_string(out, span.text);
        out += ",\"start\":";
        append_number(out, span.start);
        out += ",\"stop\":";
        append_number(out, span.stop);
        out += '}';
    }
    out += ']';
    return out;
}

asio::awaitable<result<std::string>> tokenize_somewhere(shared_services with, shared_body body) {
    const auto how = with->encoder;
    if (body->inputs.size() <= inline_encode_bytes) co_return tokenize(*how, *body);
    auto work = [how, body] { return tokenize(*how, *body); };
    co_return co_await with->workers->run(std::move(work));
}

}  // namespace

asio::awaitable<http::response> serve_tokenize(shared_services with, shared_request from) {
    if (with->is_shutting_down()) co_return shutting_down_response();
    auto read = co_await read_body<tokenize_body>(with, from, tokenize_body::schema());
    if (!read) co_return error_response(read.error());
    if (read->refused) co_return rejection_response(std::move(*read->refused));
    if (!with->encoder) {
        co_return error_response(
            {errc::no_tokenizer, "No fast tokenizer or tokenizer.json for this model"});
    }
    auto body = std::make_shared<const tokenize_body>(std::move(read->body));
    auto text = co_await tokenize_somewhere(with, std::move(body));
    if (!text) co_return error_response(text.error());
    http::response answer;
    answer.content_type = "application/json";
    answer.body = std::move(*text);
    co_return answer;
}

}  // namespace truffula::api
