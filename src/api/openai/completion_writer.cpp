#include "api/openai/pieces.hpp"

#include <utility>

namespace truffula::api::openai {
namespace {

constexpr std::string_view object = "text_completion";
constexpr std::string_view event_frame = "data: ";

class completion_writer final : public text_writer {
public:
    completion_writer(const text_plan& plan, answer_facts facts, std::vector<renamed> names)
        : plan_(plan), names_(std::move(names)), used_(plan, plan.prompts.size() * plan.n) {
        event_head_ = std::string{event_frame} + answer_head(object, facts);
        const auto count = plan.prompts.size() * plan.n;
        has_prompt_.resize(count);
        for (std::size_t i = 0; i < count; ++i) {
            const auto& prompt = plan.prompts[i / plan.n].text;
            choices_.emplace_back(plan, plan.echo ? characters(prompt) : 0);
        }
    }

    void begin(std::string& out, std::span<const std::uint32_t> lengths) override {
        used_.begin(lengths);
        if (!plan_.echo || plan_.logprobs) return;  // scored prompts come with the first step
        for (std::size_t i = 0; i < choices_.size(); ++i) {
            choices_[i].text = plan_.prompts[i / plan_.n].text;
            append_event(out, i, {}, {});
        }
    }

    void restart(std::size_t choice) override {
        choices_[choice].reset();
        has_prompt_[choice] = false;
        used_.restart(choice);
    }

    result<> step(std::string& out, std::size_t choice, const inference::step& s) override {
        auto& shown = choices_[choice];
        used_.prefilled(choice, s.prefill_length);
        if (plan_.echo && plan_.logprobs && !std::exchange(has_prompt_[choice], true)) {
            shown.text = plan_.prompts[choice / plan_.n].text;
            append_event(out, choice, prompt_tokens(s.prefill_tokens), {});
        }
        const auto count = plan_.drops_answer ? 0 : s.tokens.size();
        for (std::size_t i = 0; i < count; ++i) {
            shown.add(s.tokens[i]);
            used_.add_token(choice);
            if (s.finished && i + 1 == count) break;  // goes with the end
            if (shown.text.empty()) continue;
            append_event(out, choice, shown.scored(), {});
        }
        if (!s.finished) return {};
        shown.finish(*s.finished);
        append_event(out, choice, shown.scored(), finish_of(s.finished->reason));
        return {};
    }

    void end(std::string& out, const token_usage& used) override {
        append_last_events(out, event_head_, plan_, shown_usage(used));
    }

    void fail(std::string& out, const error& e) override {
        append_fault_event(out, describe_fault(e, names_));
        out += done_event;
    }

    result<std::string> body(
        std::span<const collected_answer> answers, const token_usage& used) override {
        auto out = event_head_.substr(event_frame.size());
        for (std::size_t i = 0; i < answers.size(); ++i) {
            if (i > 0) out += ',';
            append_whole(out, i, answers[i]);
        }
        append_end(out, shown_usage(used));
        return out;
    }

private:
    std::string_view finish_of(inference::finish_reason reason) const {
        return finish_name(plan_.drops_answer ? inference::finish_reason::length : reason);
    }

    token_usage shown_usage(token_usage used) const {
        if (plan_.drops_answer) used.completion = 0;
        return used;
    }

    // What a choice has shown so far becomes an event.
    void append_event(
        std::string& out,
        std::size_t choice,
        std::span<const scored_token> scored,
        std::string_view finish) {
        auto& text = choices_[choice].text;
        out += event_head_;
        append_choice(out, choice, text, scored, finish);
        used_.append(out, choice);
        text.clear();
    }

    void append_choice(
        std::string& out,
        std::size_t choice,
        std::string_view text,
        std::span<const scored_token> scored,
        std::string_view finish) const {
        out += "{\"index\":";
        append_number(out, choice);
        out += ",\"text\":";
        append_string(out, text);
        out += ",\"logprobs\":";
        if (plan_.logprobs) {
            append_completion_logprobs(out, scored, *plan_.logprobs);
        } else {
            out += "null";
        }
        append_finish(out, finish);
    }

    static std::vector<scored_token> prompt_tokens(
        const std::vector<inference::prefill_token>& tokens) {
        std::vector<scored_token> all;
        std::size_t offset = 0;
        for (const auto& t : tokens) {
            all.push_back({t.text, t.logprob, {}, offset, true});
            offset += characters(t.text);
        }
        return all;
    }

    static void append_scored(
        const collected_answer& answer, shown_text& shown, std::vector<scored_token>& to) {
        for (const auto& t : answer.tokens) shown.add(t);
        shown.finish(answer.end);
        for (auto& t : shown.scored()) to.push_back(std::move(t));
        shown.text.clear();
    }

    void append_whole(std::string& out, std::size_t choice, const collected_answer& answer) {
        std::string text;
        if (plan_.echo) text = plan_.prompts[choice / plan_.n].text;
        std::vector<scored_token> scored;
        if (plan_.logprobs) {
            if (plan_.echo) scored = prompt_tokens(answer.prefill);
            if (!plan_.drops_answer) append_scored(answer, choices_[choice], scored);
        }
        if (!plan_.drops_answer) text += whole_text(plan_, answer.end);
        append_choice(out, choice, text, scored, finish_of(answer.end.reason));
    }

    const text_plan& plan_;
    std::vector<renamed> names_;
    std::string event_head_;  // how every event begins; without its frame, the body
    std::vector<shown_text> choices_;
    std::vector<char> has_prompt_;  // by choice: the scored prompt was shown
    event_usage used_;
};

}  // namespace

std::unique_ptr<text_writer> make_completion_writer(
    const text_plan& plan, answer_facts facts, std::vector<renamed> names) {
    return std::make_unique<completion_writer>(plan, std::move(facts), std::move(names));
}

}  // namespace truffula::api::openai
