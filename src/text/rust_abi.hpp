#pragma once

#include <cstddef>
#include <cstdint>

// What src/text/rust exports. Functions return 0, or 1 after they have called `on_error`; texts are
// UTF-8 with a length; callbacks are called before the function returns and must not throw.
extern "C" {

struct truffula_text;

using truffula_on_ids = void (*)(void* context, const std::uint32_t* ids, std::size_t count);
using truffula_on_span = void (*)(
    void* context,
    std::uint32_t id,
    const char* form,
    std::size_t form_length,
    std::size_t start,
    std::size_t stop);
using truffula_on_text = void (*)(void* context, const char* text, std::size_t length);
using truffula_on_error = void (*)(void* context, const char* words, std::size_t length);

int truffula_text_load(
    const char* file,
    std::size_t file_length,
    const char* config,
    std::size_t config_length,
    truffula_text** out,
    void* context,
    truffula_on_error on_error);

void truffula_text_free(truffula_text* handle);

int truffula_text_encode(
    const truffula_text* handle,
    const char* text,
    std::size_t length,
    bool add_special,
    void* context,
    truffula_on_ids on_ids,
    truffula_on_error on_error);

int truffula_text_spans(
    const truffula_text* handle,
    const char* text,
    std::size_t length,
    bool add_special,
    void* context,
    truffula_on_span on_span,
    truffula_on_error on_error);

int truffula_text_decode(
    const truffula_text* handle,
    const std::uint32_t* ids,
    std::size_t count,
    void* context,
    truffula_on_text on_text,
    truffula_on_error on_error);

int truffula_text_byte_offset(
    const truffula_text* handle,
    const char* text,
    std::size_t length,
    bool add_special,
    std::size_t skip,
    std::size_t* out,
    void* context,
    truffula_on_error on_error);

// Chat templates.

struct truffula_chat;

/// No text where `data` is null.
struct truffula_chat_text {
    const char* data;
    std::size_t length;
};

struct truffula_chat_prompt {
    truffula_chat_text messages;
    truffula_chat_text tools;
    truffula_chat_text documents;
    truffula_chat_text arguments;
    truffula_chat_text guideline;
    truffula_chat_text template_name;
    std::int64_t now;
    bool add_generation_prompt;
    bool continue_final_message;
};

/// `jinja` and `tokens` are lists of files, one in a line.
int truffula_chat_load(
    truffula_chat_text config,
    truffula_chat_text jinja,
    truffula_chat_text json,
    truffula_chat_text tokens,
    truffula_chat** out,
    void* context,
    truffula_on_error on_error);

void truffula_chat_free(truffula_chat* handle);

bool truffula_chat_uses(
    const truffula_chat* handle, truffula_chat_text name, truffula_chat_text variable);

bool truffula_chat_is_empty(const truffula_chat* handle);

/// Returns 2 instead of 1 when the template wants a guideline and there is none.
int truffula_chat_render(
    const truffula_chat* handle,
    const truffula_chat_prompt* prompt,
    void* context,
    truffula_on_text on_text,
    truffula_on_error on_error);
}
