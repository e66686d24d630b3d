#include "truffula/text/chat_template.hpp"

#include "text/rust_abi.hpp"

#include <utility>

namespace truffula::text {

#ifdef TRUFFULA_HAS_TOKENIZER

namespace {

struct answer {
    std::string text;
    std::string words;

    static void on_text(void* context, const char* text, std::size_t length) noexcept {
        static_cast<answer*>(context)->text.assign(text, length);
    }
    static void on_error(void* context, const char* words, std::size_t length) noexcept {
        static_cast<answer*>(context)->words.assign(words, length);
    }
};

truffula_chat_text view(std::string_view text) {
    return {text.data(), text.size()};
}

std::string lines(const std::vector<std::filesystem::path>& files) {
    std::string all;
    for (const auto& file : files) (all += file.string()) += '\n';
    return all;
}

}  // namespace

struct chat_template::handle {
    explicit handle(truffula_chat* c) : inner(c) {}
    handle(const handle&) = delete;
    handle& operator=(const handle&) = delete;
    ~handle() { truffula_chat_free(inner); }

    truffula_chat* inner;
};

result<chat_template> chat_template::load(const chat_template_files& files) {
    const auto jinja = lines(files.jinja);
    const auto tokens = lines(files.special_tokens);
    const auto config = files.tokenizer_config.string();
    const auto json = files.chat_template_json.string();
    answer got;
    truffula_chat* loaded = nullptr;
    const auto status = truffula_chat_load(
        view(config), view(jinja), view(json), view(tokens), &loaded, &got, answer::on_error);
    if (status != 0) return error{errc::io, std::move(got.words)};
    return chat_template{std::make_shared<const handle>(loaded)};
}

result<std::string> chat_template::render(const chat_prompt& prompt) const {
    truffula_chat_prompt p{};
    p.messages = view(prompt.messages);
    p.tools = view(prompt.tools);
    p.documents = view(prompt.documents);
    p.arguments = view(prompt.arguments);
    if (prompt.guideline) p.guideline = view(*prompt.guideline);
    p.template_name = view(prompt.template_name);
    p.now = std::chrono::system_clock::to_time_t(prompt.now);
    p.add_generation_prompt = prompt.add_generation_prompt;
    p.continue_final_message = prompt.continue_final_message;
    answer got;
    const auto status =
        truffula_chat_render(handle_->inner, &p, &got, answer::on_text, answer::on_error);
    if (status == 2) return error{errc::missing_template_variable, std::move(got.words)};
    if (status != 0) return error{errc::template_error, std::move(got.words)};
    return std::move(got.text);
}

bool chat_template::has_templates() const noexcept {
    return !truffula_chat_is_empty(handle_->inner);
}

bool chat_template::uses_tools(std::string_view name) const {
    return truffula_chat_uses(handle_->inner, view(name), view("tools"));
}

bool chat_template::uses_guideline(std::string_view name) const {
    return truffula_chat_uses(handle_->inner, view(name), view("guideline"));
}

#else

struct chat_template::handle {};

namespace {

error not_built() {
    return {errc::no_tokenizer, "this router was built without chat templates (TRUFFULA_TEXT)"};
}

}  // namespace

result<chat_template> chat_template::load(const chat_template_files&) {
    return not_built();
}
result<std::string> chat_template::render(const chat_prompt&) const {
    return not_built();
}
bool chat_template::has_templates() const noexcept {
    return false;
}
bool chat_template::uses_tools(std::string_view) const {
    return false;
}
bool chat_template::uses_guideline(std::string_view) const {
    return false;
}

#endif

}  // namespace truffula::text
