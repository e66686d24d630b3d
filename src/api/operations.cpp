#include "truffula/api/generate_body.hpp"
#include "truffula/api/openai/text_body.hpp"
#include "truffula/api/openapi.hpp"
#include "truffula/api/pooling_bodies.hpp"

#include <array>

namespace truffula::api {
namespace {

constexpr std::string_view of_generation = "400 413 415 422 424 429 500 503";
constexpr std::string_view of_openai = "400 404 408 413 415 429 500 503";
constexpr auto json = "application/json";
constexpr auto text = "text/plain";

constexpr operation generating(
    std::string_view path, std::string_view summary, bool is_switch, bool streams) {
    const auto body = is_switch ? &generate_body::switch_schema : &generate_body::schema;
    const auto* const type = streams && !is_switch ? "text/event-stream" : json;
    return {
        "post",
        path,
        "native",
        summary,
        body,
        "GenerateResponse",
        type,
        is_switch,
        is_switch,
        error_shape::native,
        of_generation};
}

constexpr operation plain(std::string_view path, std::string_view summary) {
    return {
        "get",
        path,
        "state",
        summary,
        nullptr,
        "",
        json,
        false,
        false,
        error_shape::native,
        "500 503"};
}

constexpr operation pooling(
    std::string_view path,
    std::string_view summary,
    const object_schema& (*body)(),
    std::string_view answer,
    bool is_list) {
    return {
        "post",
        path,
        "native",
        summary,
        body,
        answer,
        json,
        is_list,
        false,
        error_shape::native,
        "400 404 413 415 422 424 429 500 503"};
}

constexpr operation embeddings(std::string_view answer, error_shape errors) {
    const auto statuses = errors == error_shape::openai ? of_openai : of_generation;
    return {
        "post",
        "/v1/embeddings",
        "openai",
        "Embed texts",
        &embeddings_body::schema,
        answer,
        json,
        false,
        false,
        errors,
        statuses};
}

constexpr std::array native{
    generating("/generate", "Generate a text", false, false),
    generating("/generate_stream", "Generate a text as server-sent events", false, true),
    generating("/", "Generate a text, streamed if `stream` is true", true, true),
    generating("/invocations", "The same under the name that SageMaker asks for", true, true),
    pooling("/embed", "Embed a text", &embed_body::schema, "Embedding", false),
    pooling("/classify", "Find the entities of a text", &classify_body::schema, "Entity", true),
    pooling(
        "/classify_batch",
        "Find the entities of texts",
        &classify_batch_body::schema,
        "Entities",
        true),
    operation{
        "post",
        "/tokenize",
        "native",
        "Cut a text into tokens",
        &tokenize_body::schema,
        "Token",
        json,
        true,
        false,
        error_shape::native,
        "400 404 413 415 422 503"},
    plain("/health", "Whether the shards answer"),
    plain("/ping", "As /health"),
    plain("/startup", "Whether a real request is answered"),
    operation{
        "get",
        "/info",
        "state",
        "The model and the limits",
        nullptr,
        "Info",
        json,
        false,
        false,
        error_shape::none,
        ""},
    operation{
        "get",
        "/metrics",
        "state",
        "Metrics for Prometheus",
        nullptr,
        "Text",
        text,
        false,
        false,
        error_shape::none,
        ""},
};

constexpr operation answering(
    std::string_view path,
    std::string_view summary,
    const object_schema& (*body)(),
    std::string_view answer,
    error_shape errors) {
    const auto statuses = errors == error_shape::openai ? of_openai : of_generation;
    return {"post", path, "openai", summary, body, answer, json, false, true, errors, statuses};
}

constexpr operation model_list{
    "get",
    "/v1/models",
    "openai",
    "The base model and the adapters known",
    nullptr,
    "ModelList",
    json,
    false,
    false,
    error_shape::openai,
    "500 503"};
constexpr operation one_model{
    "get",
    "/v1/models/{model}",
    "openai",
    "One of them",
    nullptr,
    "Model",
    json,
    false,
    false,
    error_shape::openai,
    "404 500 503"};

template <std::size_t Size>
constexpr auto with_native(const std::array<operation, Size>& own) {
    std::array<operation, native.size() + Size> all{};
    for (std::size_t i = 0; i < native.size(); ++i) all[i] = native[i];
    for (std::size_t i = 0; i < Size; ++i) all[native.size() + i] = own[i];
    return all;
}

constexpr auto all_openai = with_native(std::array{
    answering(
        "/v1/completions",
        "Complete prompts",
        &openai::completion_body::schema,
        "Completion",
        error_shape::openai),
    embeddings("EmbeddingList", error_shape::openai),
    answering(
        "/v1/chat/completions",
        "Answer a conversation",
        &openai::chat_body::schema,
        "ChatCompletion",
        error_shape::openai),
    model_list,
    one_model,
});

constexpr auto all_lorax = with_native(std::array{
    answering(
        "/v1/completions",
        "Complete a prompt",
        &openai::lorax_completion_body::schema,
        "LoraxCompletion",
        error_shape::native),
    embeddings("LoraxEmbeddings", error_shape::native),
    answering(
        "/v1/chat/completions",
        "Answer a conversation",
        &openai::lorax_chat_body::schema,
        "LoraxChatCompletion",
        error_shape::native),
    model_list,
    one_model,
});

}  // namespace

std::span<const operation> operations(compat of) {
    if (of == compat::lorax) return all_lorax;
    return all_openai;
}

}  // namespace truffula::api
