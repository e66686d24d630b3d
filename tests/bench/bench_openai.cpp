// What OpenAI's routes do for each token and for each request, without sockets.
#include "bench/figures.hpp"
#include "bench/timing.hpp"
#include "truffula/api/openai/messages.hpp"
#include "truffula/api/openai/text_body.hpp"
#include "truffula/api/openai/text_plan.hpp"
#include "truffula/api/openai/text_writer.hpp"
#include "truffula/api/read_json.hpp"
#include "truffula/api/validate.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace {

using namespace truffula;
using bench::check;

constexpr std::size_t rounds = 20;

void write_events(const char* what, api::openai::text_writer& writer) {
    inference::step step;
    step.tokens.resize(1);
    step.tokens.front().text = " \"token\"";
    step.tokens.front().logprob = -0.2513F;
    std::string out;
    const auto write = [&] {
        out.clear();
        check(writer.step(out, 0, step).has_value());
        check(out.ends_with("\n\n"));
    };
    bench::report(what, "ns", bench::time_of<bench::nanoseconds>(rounds, 100'000, write));
}

std::string of_length(std::string body, std::size_t bytes) {
    body.resize(bytes, ' ');
    return body;
}

std::string words(std::size_t bytes) {
    std::string text;
    while (text.size() < bytes) text += "some words of a prompt ";
    return text;
}

constexpr auto sampling =
    R"("max_tokens":64,"temperature":0.7,"top_p":0.95,"top_k":50,"seed":42,"stop":["\n\n","User:"]})";

void read_completions() {
    const auto body =
        of_length(R"({"model":"base","prompt":")" + words(800) + R"(",)" + sampling, 1024);
    const api::limits allowed;
    const auto read = [&] {
        api::openai::completion_body parsed;
        check(!api::read_json(body, api::openai::completion_body::schema(), &parsed));
        api::openai::text_plan plan;
        check(!api::openai::plan_completion(std::move(parsed), "base", plan));
        api::generate_body native;
        native.inputs = plan.prompts.front().text;
        native.parameters = plan.parameters;
        check(api::check_parameters(native, allowed).has_value());
    };
    bench::report(
        "completion of 1 KiB parsed and validated",
        "ns",
        bench::time_of<bench::nanoseconds>(rounds, 5'000, read));
}

void read_chats() {
    const auto body = of_length(
        R"({"model":"base","messages":[{"role":"system","content":")" + words(300) +
            R"("},{"role":"user","content":")" + words(400) + R"("}],)" + sampling,
        1024);
    const auto read = [&] {
        api::openai::chat_body parsed;
        check(!api::read_json(body, api::openai::chat_body::schema(), &parsed));
        api::openai::text_plan plan;
        api::openai::chat_plan chat;
        check(!api::openai::plan_chat(std::move(parsed), "base", plan, chat));
    };
    bench::report(
        "chat of 1 KiB parsed and checked",
        "ns",
        bench::time_of<bench::nanoseconds>(rounds, 5'000, read));
}

}  // namespace

int main() {
    api::openai::text_plan plan;
    plan.prompts.push_back({"a prompt", std::nullopt});
    const api::openai::answer_facts facts{"cmpl-0123456789abcdef", 1'700'000'000, "base", "0.1.0"};
    write_events("completion event", *api::openai::make_completion_writer(plan, facts, {}));
    write_events("chat event", *api::openai::make_chat_writer(plan, facts, {}));
    read_completions();
    read_chats();
    return 0;
}
