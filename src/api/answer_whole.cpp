#include "api/collect.hpp"
#include "api/compute_headers.hpp"
#include "api/generation.hpp"

#include <utility>

namespace truffula::api {
namespace {

namespace asio = boost::asio;

http::response refused(const generation_call& call, request_watch& watch, const error& e) {
    watch.failed(e);
    auto answer = error_response(e);
    if (e.code == errc::overloaded && call.with->retry_after) {
        answer.headers.emplace_back(
            "retry-after", std::to_string(call.with->retry_after().count()));
    }
    return answer;
}

http::response written(
    const generation_call& call,
    const running_generation& running,
    const std::vector<collected_answer>& all,
    request_watch& watch,
    bool as_array) {
    const auto now = std::chrono::steady_clock::now();
    const auto best = best_sequence(all);
    answer_form form;
    form.details = call.body.parameters.wants_details();
    form.text_prefix = call.text_prefix();
    form.prompt_tokens = running.prompt_tokens(all[best].prefill_length);
    watch.succeeded(all[best].times, all[best].end, now);
    log_answer(call, form.prompt_tokens, all[best].end);
    http::response answer;
    answer.content_type = "application/json";
    answer.headers = whole_headers(call, all[best], form.prompt_tokens, now);
    if (as_array) answer.body += '[';
    append_generate_body(answer.body, all, best, form);
    if (as_array) answer.body += ']';
    return answer;
}

}  // namespace

asio::awaitable<http::response> answer_whole(
    std::shared_ptr<const generation_call> call, bool as_array) {
    request_watch watch{call};
    auto running = co_await begin_generation(call);
    if (!running) co_return refused(*call, watch, running.error());
    const auto executor = co_await asio::this_coro::executor;
    sequence_set sequences{executor, std::move(running->sequences)};
    auto all = co_await collect_all(sequences);
    if (!all) co_return refused(*call, watch, all.error());
    co_return written(*call, *running, *all, watch, as_array);
}

}  // namespace truffula::api
