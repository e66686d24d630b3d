#include "shard_llama/adapter_file.hpp"

#include "shard_llama/gguf_metadata.hpp"
#include "shard_llama/llama_log.hpp"

#include <cmath>
#include <ggml.h>
#include <gguf.h>
#include <memory>
#include <string>

namespace truffula::shard_llama {
namespace {

error refuse(const std::string& why) {
    return {errc::validation, why};
}

/// The types that converters write, all of which llama multiplies with.
bool holds_weights(const ggml_tensor& t) {
    switch (t.type) {
        case GGML_TYPE_F32:
        case GGML_TYPE_F16:
        case GGML_TYPE_BF16:
        case GGML_TYPE_Q8_0: return true;
        default: return false;
    }
}

result<> check_keys(const gguf_metadata& meta) {
    if (meta.text("general.type") != "adapter" || meta.text("adapter.type") != "lora") {
        return refuse("the file is not a LoRA adapter");
    }
    if (!meta.text("general.architecture")) return refuse("the file names no architecture");
    const auto alpha = meta.real("adapter.lora.alpha");
    if (!alpha || !std::isfinite(*alpha)) return refuse("adapter.lora.alpha is not a number");
    return {};
}

result<> check_tensors(const std::filesystem::path& file) {
    ggml_context* raw = nullptr;
    const std::unique_ptr<gguf_context, void (*)(gguf_context*)> read{
        gguf_init_from_file(file.c_str(), {.no_alloc = true, .ctx = &raw}), gguf_free};
    if (!read) return refuse(take_llama_error("the file is broken"));
    const std::unique_ptr<ggml_context, void (*)(ggml_context*)> tensors{raw, ggml_free};
    auto* t = ggml_get_first_tensor(raw);
    if (t == nullptr) return refuse("the file has no tensors");
    for (; t != nullptr; t = ggml_get_next_tensor(raw, t)) {
        if (!holds_weights(*t)) {
            return refuse(std::string{t->name} + " is of type " + ggml_type_name(t->type));
        }
        if (ggml_n_dims(t) > 2) return refuse(std::string{t->name} + " is not a matrix");
    }
    return {};
}

}  // namespace

result<> check_adapter_file(const std::filesystem::path& file) {
    forget_llama_errors();
    const auto meta = gguf_metadata::read(file);
    if (!meta) return refuse(take_llama_error("the file is broken"));
    if (auto keys = check_keys(*meta); !keys) return keys;
    return check_tensors(file);
}

}  // namespace truffula::shard_llama
