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
    http::response answer;
    answer.content_type = "application/json";
    answer.headers = whole_headers(call, all[best], form.prompt_tokens, now);
    if (as_array) answer.body += '[';
    append_generate_body(answer.body, all, best, form);
    if (as_array) answer.body += ']';
    return answer;
}

}  // namespace

asio::awaitable<result<collected_answer>> collect(inference::token_stream& stream) {
    collected_answer all;
    for (bool is_over = false; !is_over;) {
        auto next = co_await stream.next();
        if (!next) co_return next.error();
        auto step = std::move(*next);
        if (!step) co_return error{errc::incomplete_generation, "Incomplete generation"};
        while (step) {  // those that are here already cost no turn of the loop
            is_over = step->finished.has_value();
            all.add(std::move(*step));
            if (is_over) break;
            step = stream.poll();
        }
    }
    all.times = stream.times();
    co_return all;
}

asio::awaitable<http::response> answer_whole(
    std::shared_ptr<const generation_call> call, bool as_array) {
    request_watch watch{call};
    auto running = co_await begin_generation(call);
    if (!running) co_return refused(*call, watch, running.error());
    std::vector<collected_answer> all;
    for (auto& sequence : running->sequences) {
        auto got = co_await collect(*sequence);
        if (!got) co_return refused(*call, watch, got.error());
        all.push_back(std::move(*got));
    }
    co_return written(*call, *running, all, watch, as_array);
}

}  // namespace truffula::api
