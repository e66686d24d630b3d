#include "api/compute_headers.hpp"
#include "api/generation.hpp"

#include <utility>

namespace truffula::api {
namespace {

namespace asio = boost::asio;
using clock = std::chrono::steady_clock;

class generation_events final : public http::event_source {
public:
    explicit generation_events(std::shared_ptr<const generation_call> call)
        : call_(call), watch_(std::move(call)) {}

    asio::awaitable<bool> next(std::string& out) override {
        if (is_over_) co_return false;
        if (running_.sequences.empty()) {
            auto begun = co_await begin_generation(call_);
            if (!begun) co_return fail(begun.error(), out);
            running_ = std::move(*begun);
        }
        auto& stream = *running_.sequences.front();
        auto got = co_await stream.next();
        if (!got) co_return fail(got.error(), out);
        auto step = std::move(*got);
        if (!step) co_return fail(incomplete(), out);
        std::size_t tokens = 0;
        while (step) {
            tokens += step->tokens.size();
            write(*step, out);
            if (is_over_) break;
            step = stream.poll();
        }
        if (tokens > 0) observe(tokens);
        co_return !is_over_;
    }

private:
    static error incomplete() { return {errc::incomplete_generation, "Incomplete generation"}; }

    // Cancelled: nobody is told; the wait may begin again.
    bool fail(const error& e, std::string& out) {
        if (e.code == errc::cancelled) return true;
        watch_.failed(e);
        append_error_event(out, e);
        is_over_ = true;
        return false;
    }

    void write(const inference::step& step, std::string& out) {
        if (step.restarted) {
            prefill_length_ = 0;
            return;
        }
        if (prefill_length_ == 0) prefill_length_ = step.prefill_length;
        const auto count = step.tokens.size();
        for (std::size_t i = 0; i + 1 < count; ++i) append_token_event(out, step.tokens[i]);
        if (step.finished && count == 0) {
            fail(incomplete(), out);
        } else if (step.finished) {
            write_last(step, out);
        } else if (count > 0) {
            append_token_event(out, step.tokens.back());
        }
    }

    void write_last(const inference::step& step, std::string& out) {
        const auto& end = *step.finished;
        const auto with_details = call_->body.parameters.details;
        const auto prompt = running_.prompt_tokens(prefill_length_);
        const auto shown = with_details ? std::optional{prompt} : std::nullopt;
        std::string text{call_->text_prefix()};
        text += end.text;
        append_last_event(out, step.tokens.back(), end, text, shown);
        watch_.succeeded(running_.sequences.front()->times(), end, clock::now());
        log_answer(*call_, prompt, end);
        is_over_ = true;
    }

    void observe(std::size_t tokens) {
        const auto now = clock::now();
        if (last_ != clock::time_point{}) call_->observer->streamed(tokens, now - last_);
        last_ = now;
    }

    std::shared_ptr<const generation_call> call_;
    request_watch watch_;
    running_generation running_;
    std::uint32_t prefill_length_ = 0;
    clock::time_point last_;  // tokens went out
    bool is_over_ = false;
};

}  // namespace

http::response answer_streamed(std::shared_ptr<const generation_call> call) {
    http::response answer;
    answer.content_type = "text/event-stream";
    answer.headers = common_headers(*call);
    answer.headers.emplace_back("cache-control", "no-cache");
    answer.headers.emplace_back("x-accel-buffering", "no");
    answer.events = std::make_unique<generation_events>(std::move(call));
    return answer;
}

}  // namespace truffula::api
