#include "api/answer_schemas.hpp"

namespace truffula::api {

// What src/api/answers.cpp, serve_info.cpp, serve_tokenize.cpp and openai/*_writer.cpp write.
const std::string_view answer_schemas = R"json({
"ErrorResponse": {"type": "object", "required": ["error", "error_type"], "properties": {
  "error": {"type": "string"}, "error_type": {"type": "string"}}},
"OpenAIError": {"type": "object", "required": ["error"], "properties": {
  "error": {"type": "object", "required": ["message", "type", "param", "code"], "properties": {
    "message": {"type": "string"}, "type": {"type": "string"},
    "param": {"type": ["string", "null"]}, "code": {"type": ["string", "null"]}}}}},
"Text": {"type": "string"},
"Event": {"type": "object", "required": ["data"], "properties": {"data": {"type": "string"}}},
"FinishReason": {"type": "string", "enum": ["length", "eos_token", "stop_sequence"]},
"PrefillToken": {"type": "object", "required": ["id", "text", "logprob"], "properties": {
  "id": {"type": "integer"}, "text": {"type": "string"}, "logprob": {"type": ["number", "null"]}}},
"GeneratedToken": {"type": "object", "required": ["id", "text", "logprob", "special", "skipped"],
 "properties": {"id": {"type": "integer"}, "text": {"type": "string"},
  "logprob": {"type": ["number", "null"]}, "special": {"type": "boolean"},
  "skipped": {"type": "boolean"},
  "alternative_tokens": {"type": "array", "items": {"$ref": "#/components/schemas/PrefillToken"}}}},
"Sequence": {"type": "object", "required": ["generated_text", "finish_reason", "generated_tokens",
  "seed", "prefill", "tokens"], "properties": {
  "generated_text": {"type": "string"},
  "finish_reason": {"$ref": "#/components/schemas/FinishReason"},
  "generated_tokens": {"type": "integer"}, "seed": {"type": ["integer", "null"]},
  "prefill": {"type": "array", "items": {"$ref": "#/components/schemas/PrefillToken"}},
  "tokens": {"type": "array", "items": {"$ref": "#/components/schemas/GeneratedToken"}}}},
"Details": {"type": "object", "required": ["finish_reason", "prompt_tokens", "generated_tokens",
  "skipped_tokens", "seed", "prefill", "tokens"], "properties": {
  "finish_reason": {"$ref": "#/components/schemas/FinishReason"},
  "prompt_tokens": {"type": "integer"}, "generated_tokens": {"type": "integer"},
  "skipped_tokens": {"type": "integer"}, "seed": {"type": ["integer", "null"]},
  "prefill": {"type": "array", "items": {"$ref": "#/components/schemas/PrefillToken"}},
  "tokens": {"type": "array", "items": {"$ref": "#/components/schemas/GeneratedToken"}},
  "best_of_sequences": {"type": "array", "items": {"$ref": "#/components/schemas/Sequence"}}}},
"GenerateResponse": {"type": "object", "required": ["generated_text"], "properties": {
  "generated_text": {"type": "string"}, "details": {"$ref": "#/components/schemas/Details"}}},
"Token": {"type": "object", "required": ["id", "text", "start", "stop"], "properties": {
  "id": {"type": "integer"}, "text": {"type": "string"}, "start": {"type": "integer"},
  "stop": {"type": "integer"}}},
"Info": {"type": "object", "required": ["model_id", "model_dtype", "model_device_type",
  "max_concurrent_requests", "max_best_of", "max_stop_sequences", "max_input_length",
  "max_total_tokens", "max_batch_total_tokens", "version"], "properties": {
  "model_id": {"type": "string"}, "model_sha": {"type": ["string", "null"]},
  "model_dtype": {"type": "string"}, "model_device_type": {"type": "string"},
  "model_pipeline_tag": {"type": ["string", "null"]}, "max_concurrent_requests": {"type": "integer"},
  "max_best_of": {"type": "integer"}, "max_stop_sequences": {"type": "integer"},
  "max_input_length": {"type": "integer"}, "max_total_tokens": {"type": "integer"},
  "waiting_served_ratio": {"type": "number"}, "max_batch_total_tokens": {"type": "integer"},
  "max_waiting_tokens": {"type": "integer"}, "validation_workers": {"type": "integer"},
  "eager_prefill": {"type": "boolean"}, "version": {"type": "string"},
  "sha": {"type": ["string", "null"]}, "docker_label": {"type": ["string", "null"]},
  "request_logger_url": {"type": ["string", "null"]}}},
"Usage": {"type": "object", "required": ["prompt_tokens", "total_tokens", "completion_tokens"],
 "properties": {"prompt_tokens": {"type": "integer"}, "total_tokens": {"type": "integer"},
  "completion_tokens": {"type": "integer"}}},
"Completion": {"type": "object", "required": ["id", "object", "created", "model",
  "system_fingerprint", "choices", "usage"], "properties": {
  "id": {"type": "string", "pattern": "^cmpl-"}, "object": {"const": "text_completion"},
  "created": {"type": "integer"}, "model": {"type": "string"},
  "system_fingerprint": {"type": "string"},
  "choices": {"type": "array", "minItems": 1, "items": {"type": "object",
   "required": ["index", "text", "logprobs", "finish_reason"], "properties": {
    "index": {"type": "integer"}, "text": {"type": "string"},
    "logprobs": {"type": ["object", "null"]}, "finish_reason": {"enum": ["stop", "length"]}}}},
  "usage": {"$ref": "#/components/schemas/Usage"}}},
"ChatCompletion": {"type": "object", "required": ["id", "object", "created", "model",
  "system_fingerprint", "choices", "usage"], "properties": {
  "id": {"type": "string", "pattern": "^chatcmpl-"}, "object": {"const": "chat.completion"},
  "created": {"type": "integer"}, "model": {"type": "string"},
  "system_fingerprint": {"type": "string"},
  "choices": {"type": "array", "minItems": 1, "items": {"type": "object",
   "required": ["index", "message", "logprobs", "finish_reason"], "properties": {
    "index": {"type": "integer"},
    "message": {"type": "object", "required": ["role", "content", "refusal"], "properties": {
     "role": {"const": "assistant"}, "content": {"type": ["string", "null"]},
     "refusal": {"type": "null"},
     "tool_calls": {"type": "array", "items": {"$ref": "#/components/schemas/ToolCall"}}}},
    "logprobs": {"type": ["object", "null"]},
    "finish_reason": {"enum": ["stop", "length", "tool_calls"]}}}},
  "usage": {"$ref": "#/components/schemas/Usage"}}},
"ToolCall": {"type": "object", "required": ["id", "type", "function"], "properties": {
  "id": {"type": "string"}, "type": {"const": "function"},
  "function": {"type": "object", "required": ["name", "arguments"], "properties": {
   "name": {"type": "string"}, "arguments": {"type": "string"}}}}},
"LoraxCompletion": {"type": "object", "required": ["id", "object", "created", "model", "choices",
  "usage"], "properties": {
  "id": {"const": "null"}, "object": {"const": "text_completion"}, "created": {"const": 0},
  "model": {"const": "null"},
  "choices": {"type": "array", "minItems": 1, "maxItems": 1, "items": {"type": "object",
   "required": ["index", "text", "logprobs", "finish_reason"], "properties": {
    "index": {"type": "integer"}, "text": {"type": "string"}, "logprobs": {"type": "null"},
    "finish_reason": {"enum": ["stop", "length", "content_filter"]}}}},
  "usage": {"$ref": "#/components/schemas/Usage"}}},
"LoraxChatCompletion": {"type": "object", "required": ["id", "object", "created", "model",
  "choices", "usage", "system_fingerprint"], "properties": {
  "id": {"const": "null"}, "object": {"const": "text_completion"},
  "created": {"type": "integer"}, "model": {"type": "string"},
  "choices": {"type": "array", "minItems": 1, "items": {"type": "object",
   "required": ["index", "message", "finish_reason"], "properties": {
    "index": {"type": "integer"}, "message": {"type": "object"},
    "finish_reason": {"enum": ["stop", "length", "content_filter"]}}}},
  "usage": {"$ref": "#/components/schemas/Usage"}, "system_fingerprint": {"type": "string"}}},
"Embedding": {"type": "object", "required": ["embeddings"], "properties": {
  "embeddings": {"type": "array", "items": {"type": "number"}}}},
"Entity": {"type": "object", "required": ["entity_group", "score", "word", "start", "end"],
 "properties": {"entity_group": {"type": "string"}, "score": {"type": "number"},
  "word": {"type": "string"}, "start": {"type": "integer"}, "end": {"type": "integer"}}},
"Entities": {"type": "array", "items": {"$ref": "#/components/schemas/Entity"}},
"EmbeddingList": {"type": "object", "required": ["object", "data", "model", "usage"],
 "properties": {"object": {"const": "list"}, "model": {"type": "string"},
  "data": {"type": "array", "minItems": 1, "items": {"type": "object",
   "required": ["object", "index", "embedding"], "properties": {
    "object": {"const": "embedding"}, "index": {"type": "integer"},
    "embedding": {"type": ["array", "string"], "items": {"type": "number"}}}}},
  "usage": {"type": "object", "required": ["prompt_tokens", "total_tokens"], "properties": {
    "prompt_tokens": {"type": "integer"}, "total_tokens": {"type": "integer"}}}}},
"LoraxEmbeddings": {"type": "object", "required": ["embeddings"], "properties": {
  "embeddings": {"type": "array", "items": {"type": "object",
   "required": ["index", "embedding", "object"], "properties": {
    "index": {"type": "integer"}, "object": {"const": "embedding"},
    "embedding": {"type": "array", "items": {"type": "number"}}}}}}},
"Model": {"type": "object", "required": ["id", "object", "created", "owned_by", "state"],
 "properties": {"id": {"type": "string"}, "object": {"const": "model"},
  "created": {"type": "integer"}, "owned_by": {"type": "string"}, "root": {"type": "string"},
  "parent": {"type": ["string", "null"]}, "state": {"type": "string", "enum": ["unknown",
   "downloading", "downloaded", "loading", "ready", "draining", "offloading", "failed"]}}},
"ModelList": {"type": "object", "required": ["object", "data"], "properties": {
  "object": {"const": "list"},
  "data": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}}}}
})json";

}  // namespace truffula::api
