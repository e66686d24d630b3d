#include "api/collect.hpp"
#include "api/compute_headers.hpp"
#include "api/openai/text_call.hpp"

#include <algorithm>
#include <utility>

namespace truffula::api::openai {
namespace {

namespace asio = boost::asio;
using clock = std::chrono::steady_clock;

error incomplete() {
    return {errc::incomplete_generation, "Incomplete generation"};
}

/// The events of a request. One that has begun already brings its first step along.
class text_events final : public http::event_source {
public:
    explicit text_events(std::shared_ptr<text_call> call)
        : call_(std::move(call)), watch_(call_->prompts.front()) {}

    /// Checks and hands over, and waits for the first step, so that what goes wrong until then has
    /// a status of its own.
    asio::awaitable<result<>> begin() {
        auto begun = co_await begin_text(call_);
        if (!begun) {
            watch_.failed(begun.error());
            co_return begun.error();
        }
        running_.emplace(std::move(*begun));
        seen_.resize(running_->sequences.size());
        auto arrival = co_await running_->sequences.next();
        if (!arrival.got) {
            watch_.failed(arrival.got.error());
            co_return arrival.got.error();
        }
        first_.emplace(std::move(arrival));
        co_return result<>{};
    }

    asio::awaitable<bool> next(std::string& out) override {
        if (is_over_) co_return false;
        if (!running_) {
            auto begun = co_await begin_text(call_);
            if (!begun) co_return fail(begun.error(), out);
            running_.emplace(std::move(*begun));
            seen_.resize(running_->sequences.size());
        }
        if (!std::exchange(has_begun_, true)) {
            call_->writer->begin(out, running_->input_lengths);
        }
        auto arrival = std::exchange(first_, std::nullopt);
        if (!arrival) {
            auto next = co_await running_->sequences.next();
            arrival.emplace(std::move(next));
        }
        auto& got = arrival->got;
        const auto at = arrival->sequence;
        if (!got) co_return fail(got.error(), out);
        if (seen_[at].is_over) co_return true;
        auto step = std::move(*got);
        if (!step) co_return fail(incomplete(), out);
        std::size_t tokens = 0;
        while (step && !seen_[at].is_over) {
            tokens += step->tokens.size();
            if (const auto taken = take(at, *step, out); !taken) {
                co_return fail(taken.error(), out);
            }
            step = running_->sequences.poll(at);
        }
        if (tokens > 0) observe(tokens);
        if (left_ == 0) finish(at, out);
        co_return !is_over_;
    }

private:
    struct progress {
        bool is_over = false;
        std::uint32_t prefill_length = 0;
    };

    // Cancelled: nobody is told; the wait may begin again.
    bool fail(const error& e, std::string& out) {
        if (e.code == errc::cancelled) return true;
        watch_.failed(e);
        call_->writer->fail(out, e);
        is_over_ = true;
        return false;
    }

    result<> take(std::size_t at, const inference::step& step, std::string& out) {
        auto& seen = seen_[at];
        if (step.restarted) {
            seen = {};
            call_->writer->restart(at);
            return {};
        }
        if (seen.prefill_length == 0) seen.prefill_length = step.prefill_length;
        if (auto written = call_->writer->step(out, at, step); !written) return written.error();
        if (!step.finished) return {};
        seen.is_over = true;
        used_.completion += step.finished->generated_tokens;
        last_ = *step.finished;
        const auto prompt = running_->prompt_tokens(at, seen.prefill_length);
        log_answer(*call_->prompts[at / running_->per_prompt], prompt, last_);
        left_ = static_cast<std::size_t>(
            std::count_if(seen_.begin(), seen_.end(), [](const auto& s) { return !s.is_over; }));
        return {};
    }

    void finish(std::size_t at, std::string& out) {
        for (std::size_t i = 0; i < seen_.size(); i += running_->per_prompt) {
            used_.prompt += running_->prompt_tokens(i, seen_[i].prefill_length);
        }
        call_->writer->end(out, used_);
        watch_.succeeded(running_->sequences.times(at), last_, clock::now());
        is_over_ = true;
    }

    void observe(std::size_t tokens) {
        const auto now = clock::now();
        if (wrote_ != clock::time_point{}) {
            call_->prompts.front()->observer->streamed(tokens, now - wrote_);
        }
        wrote_ = now;
    }

    std::shared_ptr<text_call> call_;
    request_watch watch_;
    std::optional<running_text> running_;
    std::optional<sequence_set::arrival> first_;
    std::vector<progress> seen_;
    token_usage used_;
    inference::generated_text last_;
    clock::time_point wrote_;
    std::size_t left_ = 1;
    bool has_begun_ = false;
    bool is_over_ = false;
};

asio::awaitable<http::response> answer_streamed(std::shared_ptr<text_call> call) {
    auto events = std::make_unique<text_events>(call);
    if (!call->is_lorax()) {
        const auto begun = co_await events->begin();
        if (!begun) co_return text_error(*call, begun.error());
    }
    http::response answer;
    answer.content_type = "text/event-stream";
    answer.headers = common_headers(*call->prompts.front());
    answer.headers.emplace_back("cache-control", "no-cache");
    answer.headers.emplace_back("x-accel-buffering", "no");
    answer.events = std::move(events);
    co_return answer;
}

// The `n` best of each prompt, best first; all in their order when all are shown.
std::vector<collected_answer> shown_of(
    std::vector<collected_answer>&& all, std::size_t per_prompt, std::size_t n, bool best_first) {
    if (n == per_prompt && !best_first) return std::move(all);
    std::vector<collected_answer> shown;
    for (std::size_t first = 0; first < all.size(); first += per_prompt) {
        std::vector<collected_answer> of_one{
            std::make_move_iterator(all.begin() + std::ptrdiff_t(first)),
            std::make_move_iterator(all.begin() + std::ptrdiff_t(first + per_prompt))};
        for (std::size_t i = 0; i < n; ++i) {
            const auto best = static_cast<std::ptrdiff_t>(best_sequence(of_one));
            shown.push_back(std::move(of_one[static_cast<std::size_t>(best)]));
            of_one.erase(of_one.begin() + best);
        }
    }
    return shown;
}

http::response written(
    text_call& call,
    const running_text& running,
    std::vector<collected_answer>&& all,
    request_watch& watch) {
    const auto now = clock::now();
    token_usage used;
    for (std::size_t i = 0; i < all.size(); ++i) {
        used.completion += all[i].end.generated_tokens;
        if (i % running.per_prompt == 0) {
            used.prompt += running.prompt_tokens(i, all[i].prefill_length);
        }
    }
    const auto shown = shown_of(std::move(all), running.per_prompt, call.plan.n, call.is_lorax());
    const auto& best = shown.front();
    if (call.is_lorax()) used.completion = best.end.generated_tokens;
    auto body = call.writer->body(shown, used);
    if (!body) {
        watch.failed(body.error());
        return text_error(call, body.error());
    }
    watch.succeeded(best.times, best.end, now);
    const auto per_prompt = shown.size() / call.prompts.size();
    for (std::size_t i = 0; i < shown.size(); ++i) {
        const auto at = i / per_prompt;
        const auto tokens = running.prompt_tokens(at * running.per_prompt, shown[i].prefill_length);
        log_answer(*call.prompts[at], tokens, shown[i].end);
    }
    http::response answer;
    answer.content_type = "application/json";
    const auto prompt = running.prompt_tokens(0, best.prefill_length);
    answer.headers = whole_headers(*call.prompts.front(), best, prompt, now);
    answer.body = std::move(*body);
    return answer;
}

asio::awaitable<http::response> answer_whole(std::shared_ptr<text_call> call) {
    request_watch watch{call->prompts.front()};
    auto running = co_await begin_text(call);
    if (!running) {
        watch.failed(running.error());
        co_return text_error(*call, running.error());
    }
    auto all = co_await collect_all(running->sequences);
    if (!all) {
        watch.failed(all.error());
        co_return text_error(*call, all.error());
    }
    co_return written(*call, *running, std::move(*all), watch);
}

}  // namespace

asio::awaitable<http::response> answer_text(std::shared_ptr<text_call> call) {
    if (call->plan.is_streamed) co_return co_await answer_streamed(std::move(call));
    co_return co_await answer_whole(std::move(call));
}

}  // namespace truffula::api::openai
