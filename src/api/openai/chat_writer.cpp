#include "api/openai/pieces.hpp"
#include "truffula/text/tool_reply.hpp"

#include <optional>
#include <utility>

namespace truffula::api::openai {
namespace {

// What a model wrote instead of a tool call is no fault of the client.
error broken_reply(const error& e) {
    return {errc::generation, "the model's reply is no tool call: " + e.detail};
}

/// One answer as it comes: words, or the JSON of a tool call.
struct chat_choice {
    explicit chat_choice(const text_plan& plan) : shown(plan, 0) { reset(plan); }

    void reset(const text_plan& plan) {
        shown.reset();
        reply.reset();
        unsent.clear();
        if (!plan.tools.empty()) reply.emplace(plan.tools);
    }

    shown_text shown;
    std::optional<text::tool_reply_parser> reply;
    std::vector<scored_token> unsent;  ///< Of a reply: for its next event.
};

class chat_writer final : public text_writer {
public:
    chat_writer(const text_plan& plan, answer_facts facts, std::vector<renamed> names)
        : plan_(plan), names_(std::move(names)), used_(plan, plan.n) {
        event_head_ = "data: " + answer_head("chat.completion.chunk", facts);
        body_head_ = answer_head("chat.completion", facts);
        for (std::size_t i = 0; i < plan.n; ++i) choices_.emplace_back(plan);
    }

    void begin(std::string& out, std::span<const std::uint32_t> lengths) override {
        used_.begin(lengths);
        for (std::size_t i = 0; i < choices_.size(); ++i) {
            append_event(out, i, R"({"role":"assistant","content":"","refusal":null})", {}, {});
        }
    }

    void restart(std::size_t choice) override {
        choices_[choice].reset(plan_);
        used_.restart(choice);
    }

    result<> step(std::string& out, std::size_t choice, const inference::step& s) override {
        auto& at = choices_[choice];
        used_.prefilled(choice, s.prefill_length);
        for (const auto& t : s.tokens) {
            at.shown.add(t);
            used_.add_token(choice);
            if (auto fine = append_text(out, choice, at); !fine) return fine;
        }
        if (!s.finished) return {};
        at.shown.finish(*s.finished);
        if (auto fine = append_text(out, choice, at); !fine) return fine;
        if (auto fine = check_end(at, s.finished->reason); !fine) return fine;
        append_event(
            out, choice, "{}", std::exchange(at.unsent, {}), finish_of(at, s.finished->reason));
        return {};
    }

    void end(std::string& out, const token_usage& used) override {
        append_last_events(out, event_head_, plan_, used);
    }

    void fail(std::string& out, const error& e) override {
        append_fault_event(out, describe_fault(e, names_));
        out += done_event;
    }

    result<std::string> body(
        std::span<const collected_answer> answers, const token_usage& used) override {
        std::string out = body_head_;
        for (std::size_t i = 0; i < answers.size(); ++i) {
            if (i > 0) out += ',';
            if (auto fine = append_whole(out, i, answers[i]); !fine) return fine.error();
        }
        append_end(out, used);
        return out;
    }

private:
    // A reply that was cut off, by its length or by a stop text of the client's, is as whole as it
    // can be.
    static result<> check_end(chat_choice& at, inference::finish_reason reason) {
        if (!at.reply || reason != inference::finish_reason::eos_token) return {};
        if (auto whole = at.reply->finish(); !whole) return broken_reply(whole.error());
        return {};
    }

    static std::string_view finish_of(const chat_choice& at, inference::finish_reason reason) {
        const bool is_call = at.reply && at.reply->is_call() && at.reply->is_whole();
        const bool is_cut = reason == inference::finish_reason::length;
        return is_call && !is_cut ? "tool_calls" : finish_name(reason);
    }

    result<> append_text(std::string& out, std::size_t choice, chat_choice& at) {
        if (!at.reply) {
            append_content(out, choice, at.shown);
            return {};
        }
        auto delta = at.reply->feed(std::exchange(at.shown.text, {}));
        if (!delta) return broken_reply(delta.error());
        for (auto& t : at.shown.scored()) at.unsent.push_back(std::move(t));
        if (delta->name) {
            delta_ = R"({"tool_calls":[{"index":0,"id":)";
            append_string(delta_, unique_id("call_"));
            delta_ += R"(,"type":"function","function":{"name":)";
            append_string(delta_, *delta->name);
            delta_ += R"(,"arguments":""}}]})";
            append_event(out, choice, delta_, std::exchange(at.unsent, {}), {});
        }
        if (!delta->arguments.empty()) {
            delta_ = R"({"tool_calls":[{"index":0,"function":{"arguments":)";
            append_string(delta_, delta->arguments);
            delta_ += "}}]}";
            append_event(out, choice, delta_, std::exchange(at.unsent, {}), {});
        }
        if (delta->content.empty()) return {};
        delta_ = "{\"content\":";
        append_string(delta_, delta->content);
        delta_ += '}';
        append_event(out, choice, delta_, std::exchange(at.unsent, {}), {});
        return {};
    }

    void append_content(std::string& out, std::size_t choice, shown_text& shown) {
        if (shown.text.empty()) return;
        delta_ = "{\"content\":";
        append_string(delta_, shown.text);
        delta_ += '}';
        shown.text.clear();
        append_event(out, choice, delta_, shown.scored(), {});
    }

    void append_event(
        std::string& out,
        std::size_t choice,
        std::string_view delta,
        std::span<const scored_token> scored,
        std::string_view finish) const {
        (out += event_head_) += "{\"index\":";
        append_number(out, choice);
        (out += ",\"delta\":") += delta;
        append_rest(out, scored, finish);
        used_.append(out, choice);
    }

    // What a choice ends with.
    void append_rest(
        std::string& out, std::span<const scored_token> scored, std::string_view finish) const {
        out += ",\"logprobs\":";
        if (plan_.logprobs && !scored.empty()) {
            append_chat_logprobs(out, scored, *plan_.logprobs);
        } else {
            out += "null";
        }
        append_finish(out, finish);
    }

    result<> append_whole(std::string& out, std::size_t choice, const collected_answer& answer) {
        auto& at = choices_[choice];
        const auto text = whole_text(plan_, answer.end);
        text::tool_delta reply;
        if (at.reply) {
            auto read = at.reply->feed(text);
            if (!read) return broken_reply(read.error());
            if (auto fine = check_end(at, answer.end.reason); !fine) return fine;
            reply = std::move(*read);
        }
        std::vector<scored_token> scored;
        if (plan_.logprobs) {
            auto& shown = at.shown;
            for (const auto& t : answer.tokens) shown.add(t);
            shown.finish(answer.end);
            scored = shown.scored();
        }
        out += "{\"index\":";
        append_number(out, choice);
        out += ",\"message\":{\"role\":\"assistant\",\"content\":";
        if (reply.name) {
            out += "null,\"refusal\":null,\"tool_calls\":[{\"id\":";
            append_string(out, unique_id("call_"));
            out += ",\"type\":\"function\",\"function\":{\"name\":";
            append_string(out, *reply.name);
            out += ",\"arguments\":";
            append_string(out, reply.arguments);
            out += "}}]}";
        } else {
            append_string(out, at.reply ? std::string_view{reply.content} : text);
            out += ",\"refusal\":null}";
        }
        append_rest(out, scored, finish_of(at, answer.end.reason));
        return {};
    }

    const text_plan& plan_;
    std::vector<renamed> names_;
    std::string event_head_;  // how every event begins
    std::string body_head_;
    std::string delta_;  // keeps its capacity
    std::vector<chat_choice> choices_;
    event_usage used_;
};

}  // namespace

std::unique_ptr<text_writer> make_chat_writer(
    const text_plan& plan, answer_facts facts, std::vector<renamed> names) {
    return std::make_unique<chat_writer>(plan, std::move(facts), std::move(names));
}

}  // namespace truffula::api::openai
