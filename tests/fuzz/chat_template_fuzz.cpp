// Prompts of clients through real chat templates, and templates as model files bring them. Those
// are only compiled: what a template computes is trusted with memory, as the model is.
#include "foreign_file.hpp"
#include "fuzz_target.hpp"
#include "truffula/text/chat_template.hpp"

#include <algorithm>

using namespace truffula;
namespace fs = std::filesystem;

namespace {

std::vector<text::chat_template> load_styles() {
    std::vector<text::chat_template> styles;
    for (const auto& file : fs::directory_iterator{TEST_DATA_DIR "/chat_templates"}) {
        if (file.path().extension() != ".jinja") continue;
        text::chat_template_files files;
        files.jinja = {file.path()};
        auto loaded = text::chat_template::load(files);
        if (loaded) styles.push_back(std::move(*loaded));
    }
    return styles;
}

/// Up to the next NUL, which goes too.
std::string_view take_part(std::string_view& from) {
    const auto part = from.substr(0, from.find('\0'));
    from.remove_prefix(std::min(part.size() + 1, from.size()));
    return part;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const auto styles = load_styles();
    static foreign_file file;
    auto rest = as_text(data, size);
    text::chat_prompt prompt;
    prompt.messages = take_part(rest);
    prompt.tools = take_part(rest);
    prompt.documents = take_part(rest);
    prompt.arguments = take_part(rest);
    prompt.continue_final_message = size % 3 == 0;
    prompt.add_generation_prompt = !prompt.continue_final_message;
    if (!styles.empty()) (void)styles[size % styles.size()].render(prompt);
    file.write(rest);
    text::chat_template_files files;
    files.jinja = {file.path()};
    (void)text::chat_template::load(files);
    files.jinja.clear();
    files.tokenizer_config = file.path();
    (void)text::chat_template::load(files);
    return 0;
}

std::vector<std::string> fuzz_seeds() {
    using namespace std::string_literals;
    const auto conversation =
        R"([{"role":"system","content":"be brief"},{"role":"user","content":"h\u00e9"},)"
        R"({"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{\"a\":1}"}}]},)"
        R"({"role":"tool","name":"f","content":"2"},{"role":"user","content":)"
        R"([{"type":"text","text":"x"}]}])"s;
    const auto tools =
        R"([{"type":"function","function":{"name":"f","description":"d",)"
        R"("parameters":{"type":"object","properties":{"a":{"type":"integer"}}}}}])"s;
    return {
        conversation + "\0"s + tools + "\0"s + R"([{"title":"t","text":"d"}])" + "\0"s +
            R"({"enable_thinking":false})",
        R"([{"role":"user","content":"x"}])"
        "\0\0\0\0"
        R"({%- for m in messages -%}{{ m['role'] | upper ~ loop.index0 }}{%- endfor -%})"
        R"({% if add_generation_prompt %}{{ bos_token[::-1] }}{% endif %})"s,
        "[]\0\0\0\0"
        R"({"chat_template":[{"name":"default","template":"{{ x | tojson(indent=2) }}"},)"
        R"({"name":"tool_use","template":"{% macro f(a, b=1) %}{% endmacro %}"}],)"
        R"("bos_token":{"content":"<s>"},"eos_token":null})"s,
    };
}
