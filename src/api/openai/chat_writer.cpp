#include "api/openai/pieces.hpp"

#include <utility>

namespace truffula::api::openai {
namespace {

class chat_writer final : public text_writer {
public:
    chat_writer(const text_plan& plan, answer_facts facts, std::vector<renamed> names)
        : plan_(plan), names_(std::move(names)) {
        const auto head = [&](std::string_view object) {
            std::string text{"{"};
            append_facts(text, object, facts);
            text += ",\"system_fingerprint\":";
            append_string(text, facts.fingerprint);
            return text += ",\"choices\":[";
        };
        event_head_ = "data: " + head("chat.completion.chunk");
        body_head_ = head("chat.completion");
        for (std::size_t i = 0; i < plan.n; ++i) choices_.emplace_back(plan, 0);
    }

    void begin(std::string& out) override {
        for (std::size_t i = 0; i < choices_.size(); ++i) {
            append_event(out, i, R"({"role":"assistant","content":"","refusal":null})", {}, {});
        }
    }

    void restart(std::size_t choice) override { choices_[choice].reset(); }

    void step(std::string& out, std::size_t choice, const inference::step& s) override {
        auto& shown = choices_[choice];
        for (const auto& t : s.tokens) {
            shown.add(t);
            append_content(out, choice, shown);
        }
        if (!s.finished) return;
        shown.finish(*s.finished);
        append_content(out, choice, shown);
        append_event(out, choice, "{}", {}, finish_name(s.finished->reason));
    }

    void end(std::string& out, const token_usage& used) override {
        if (plan_.shows_usage) {
            (out += event_head_) += "],";
            append_usage(out, used);
            out += "}\n\n";
        }
        out += done_event;
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
            append_whole(out, i, answers[i]);
        }
        out += "],";
        append_usage(out, used);
        out += '}';
        return out;
    }

private:
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
        out += plan_.shows_usage ? "],\"usage\":null}\n\n" : "]}\n\n";
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
        out += ",\"finish_reason\":";
        if (finish.empty()) {
            out += "null}";
        } else {
            append_string(out, finish);
            out += '}';
        }
    }

    void append_whole(std::string& out, std::size_t choice, const collected_answer& answer) {
        std::vector<scored_token> scored;
        if (plan_.logprobs) {
            auto& shown = choices_[choice];
            for (const auto& t : answer.tokens) shown.add(t);
            shown.finish(answer.end);
            scored = shown.scored();
        }
        out += "{\"index\":";
        append_number(out, choice);
        out += ",\"message\":{\"role\":\"assistant\",\"content\":";
        append_string(out, whole_text(plan_, answer.end));
        out += ",\"refusal\":null}";
        append_rest(out, scored, finish_name(answer.end.reason));
    }

    const text_plan& plan_;
    std::vector<renamed> names_;
    std::string event_head_;  // how every event begins
    std::string body_head_;
    std::string delta_;  // keeps its capacity
    std::vector<shown_text> choices_;
};

}  // namespace

std::unique_ptr<text_writer> make_chat_writer(
    const text_plan& plan, answer_facts facts, std::vector<renamed> names) {
    return std::make_unique<chat_writer>(plan, std::move(facts), std::move(names));
}

}  // namespace truffula::api::openai
