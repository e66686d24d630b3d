#include "api/openai/pieces.hpp"
#include "truffula/text/tool_reply.hpp"

#include <utility>

namespace truffula::api::openai {
namespace {

// A LoRAX router has no ids, times or model names in a stream (contract section 11).
constexpr std::string_view event_head =
    R"(data: {"id":"null","object":"chat.completion.chunk","created":0,"model":"null",)"
    R"("choices":[{"index":0,"delta":)";

class lorax_chat_writer final : public text_writer {
public:
    lorax_chat_writer(const text_plan& plan, answer_facts facts)
        : plan_(plan), facts_(std::move(facts)) {
        facts_.id = "null";
    }

    void begin(std::string&, std::span<const std::uint32_t>) override {}
    void restart(std::size_t) override { prompt_tokens_ = 0; }

    result<> step(std::string& out, std::size_t, const inference::step& s) override {
        if (prompt_tokens_ == 0) prompt_tokens_ = s.prefill_length;
        const auto count = s.tokens.size();
        for (std::size_t i = 0; i < count; ++i) {
            const bool is_last = s.finished && i + 1 == count;
            const auto finish = is_last ? lorax_finish_name(s.finished->reason) : "";
            out += event_head;
            if (finish == "stop") {
                out += "{}";
            } else {
                out += R"({"role":"assistant","content":)";
                append_string(out, s.tokens[i].text);
                out += '}';
            }
            append_finish(out, finish);
            if (is_last) {
                append_end(out, {prompt_tokens_, s.finished->generated_tokens});
            } else {
                out += "]}";
            }
            out += "\n\n";
        }
        return {};
    }

    void end(std::string& out, const token_usage&) override { out += done_event; }
    void fail(std::string& out, const error& e) override { append_error_event(out, e); }

    result<std::string> body(
        std::span<const collected_answer> answers, const token_usage& used) override {
        std::string out{"{"};
        append_facts(out, "text_completion", facts_);
        out += ",\"choices\":[";
        const auto finish = lorax_finish_name(answers.front().end.reason);
        for (std::size_t i = 0; i < answers.size(); ++i) {
            out += i > 0 ? ",{\"index\":" : "{\"index\":";
            append_number(out, i);
            out += ",\"message\":{\"role\":\"assistant\"";
            if (auto fine = append_reply(out, answers[i].end.text); !fine) return fine.error();
            out += '}';
            append_finish(out, finish);
        }
        out += "],";
        append_usage(out, used);
        out += ",\"system_fingerprint\":";
        append_string(out, facts_.fingerprint);
        out += '}';
        return out;
    }

private:
    result<> append_reply(std::string& out, const std::string& text) const {
        if (plan_.tools.empty()) {
            out += ",\"content\":";
            append_string(out, text);
            return {};
        }
        const auto reply = text::read_tool_reply(text, plan_.tools);
        if (!reply) return reply.error();
        if (!reply->name) {
            out += ",\"content\":";
            append_string(out, reply->content);
            return {};
        }
        out += R"(,"tool_calls":[{"id":"0","type":"function","function":{"description":null,)";
        out += "\"name\":";
        append_string(out, *reply->name);
        out += ",\"arguments\":";
        append_string(out, reply->arguments);
        out += "}}]";
        return {};
    }

    const text_plan& plan_;
    answer_facts facts_;
    std::uint32_t prompt_tokens_ = 0;
};

}  // namespace

std::unique_ptr<text_writer> make_lorax_chat_writer(const text_plan& plan, answer_facts facts) {
    return std::make_unique<lorax_chat_writer>(plan, std::move(facts));
}

}  // namespace truffula::api::openai
