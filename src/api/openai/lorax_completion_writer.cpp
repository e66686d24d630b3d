#include "api/openai/pieces.hpp"

#include <utility>

namespace truffula::api::openai {
namespace {

// A LoRAX router has no ids, times or model names here (contract section 11).
constexpr std::string_view head =
    R"({"id":"null","object":"text_completion","created":0,"model":"null","choices":[)"
    R"({"index":0,"text":)";

class lorax_completion_writer final : public text_writer {
public:
    explicit lorax_completion_writer(const text_plan& plan) : plan_(plan) {}

    void begin(std::string&, std::span<const std::uint32_t>) override {}
    void restart(std::size_t) override { prompt_tokens_ = 0; }

    result<> step(std::string& out, std::size_t, const inference::step& s) override {
        if (prompt_tokens_ == 0) prompt_tokens_ = s.prefill_length;
        const auto count = s.tokens.size();
        for (std::size_t i = 0; i < count; ++i) {
            const bool is_last = s.finished && i + 1 == count;
            const bool is_end =
                is_last && s.finished->reason == inference::finish_reason::eos_token;
            const auto finish = is_last ? lorax_finish_name(s.finished->reason) : "";
            token_usage used;
            if (is_last) used = {prompt_tokens_, s.finished->generated_tokens};
            out += "data: ";
            append(out, is_end ? std::string_view{} : s.tokens[i].text, finish, used);
            out += "\n\n";
        }
        return {};
    }

    void end(std::string& out, const token_usage&) override { out += done_event; }
    void fail(std::string& out, const error& e) override { append_error_event(out, e); }

    result<std::string> body(
        std::span<const collected_answer> answers, const token_usage& used) override {
        const auto& answer = answers.front();
        std::string text;
        if (plan_.echo) text = plan_.prompts.front().text;
        text += answer.end.text;
        std::string out;
        append(out, text, lorax_finish_name(answer.end.reason), used);
        return out;
    }

private:
    static void append(
        std::string& out, std::string_view text, std::string_view finish, const token_usage& used) {
        out += head;
        append_string(out, text);
        out += ",\"logprobs\":null";
        append_finish(out, finish);
        append_end(out, used);
    }

    const text_plan& plan_;
    std::uint32_t prompt_tokens_ = 0;
};

}  // namespace

std::unique_ptr<text_writer> make_lorax_completion_writer(const text_plan& plan) {
    return std::make_unique<lorax_completion_writer>(plan);
}

}  // namespace truffula::api::openai
