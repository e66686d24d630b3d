// Bodies of OpenAI's routes: JSON, and what they mean.
#include "fuzz_target.hpp"
#include "truffula/api/openai/models.hpp"
#include "truffula/api/openai/text_plan.hpp"
#include "truffula/api/read_json.hpp"

using namespace truffula;
using namespace truffula::api;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto text = as_text(data, size);
    (void)openai::decode_path(text);
    openai::completion_body completion;
    if (!read_json(text, openai::completion_body::schema(), &completion)) {
        openai::text_plan plan;
        const auto refused = openai::plan_completion(std::move(completion), "base", plan);
        if (!refused && plan.prompts.empty()) __builtin_trap();
    }
    openai::chat_body chat;
    if (!read_json(text, openai::chat_body::schema(), &chat)) {
        openai::text_plan plan;
        openai::chat_plan more;
        const auto refused = openai::plan_chat(std::move(chat), "base", plan, more);
        if (!refused && more.messages.empty()) __builtin_trap();
    }
    openai::lorax_chat_body lorax;
    if (!read_json(text, openai::lorax_chat_body::schema(), &lorax)) {
        openai::text_plan plan;
        openai::chat_plan more;
        (void)openai::plan_lorax_chat(std::move(lorax), "base", plan, more);
    }
    return 0;
}

std::vector<std::string> fuzz_seeds() {
    return {
        R"({"model":"m","prompt":"x","stop":["a"],"n":2,"logprobs":3,"echo":true,"seed":-1})",
        R"({"model":"m","prompt":[[1,2],[3]],"stream":true,"stream_options":{"include_usage":true}})",
        R"({"model":"m","prompt":["a","b"],"guided_json":"{\"type\":\"object\"}"})",
        R"({"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"x"},)"
        R"({"type":"image_url","image_url":{"url":"data:,"}}]}],"tool_choice":"auto"})",
        R"({"model":"m","messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f",)"
        R"("arguments":"{}"}}]}],"tools":[{"type":"function","function":{"name":"f"}}],)"
        R"("tool_choice":{"type":"function","function":{"name":"f"}}})",
        R"({"model":"m","messages":[{"role":"user","content":"x"}],"response_format":)"
        R"({"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}}})",
    };
}
