#pragma once

#include "print_result.hpp"
#include "shard_llama/adapter_table.hpp"
#include "shard_llama/backend.hpp"
#include "shard_llama/batches.hpp"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

namespace truffula::shard_llama {

/// Sixteen tokens: "a" to "m", two halves of "é", and the end of an answer.
class few_words final : public vocabulary {
public:
    static constexpr token first_half = 13;
    static constexpr token second_half = 14;
    static constexpr token end = 15;

    std::string piece(token t) const override {
        if (t == first_half) return "\xC3";
        if (t == second_half) return "\xA9";
        if (t == end) return "<end>";
        return {static_cast<char>('a' + t)};
    }
    bool is_special(token t) const override { return t == end; }
    bool ends_answer(token t) const override { return t == end; }
    std::size_t vocabulary_size() const override { return 16; }
    std::uint32_t trained_length() const override { return 64; }
};

/// Token `t` is followed by `t + 1`, with an adapter by `t + 2`. Keeps what it was called with.
class fake_backend final : public backend {
public:
    explicit fake_backend(const context_options& options) : backend(options) {}

    std::vector<std::vector<input>> passes;
    std::vector<adapter> used;
    std::vector<std::int32_t> forgotten;
    std::optional<error> failure;  ///< of the next pass

private:
    void use(const adapter& with) override { used.push_back(with); }
    void forget(std::int32_t sequence) override { forgotten.push_back(sequence); }

    result<> run_pass(
        std::span<const input> inputs, std::size_t first, const logits_sink& sink) override {
        passes.emplace_back(inputs.begin(), inputs.end());
        if (failure) return *std::exchange(failure, std::nullopt);
        const int stride = used.empty() || used.back() == nullptr ? 1 : 2;
        for (std::size_t i = 0; i < inputs.size(); ++i) {
            if (!inputs[i].wants_logits) continue;
            std::vector<float> logits(16, 0.0F);
            logits[static_cast<std::size_t>((inputs[i].id + stride) % 16)] = 3.0F;
            sink(first + i, logits);
        }
        return {};
    }
};

/// Weights that are only an address.
inline adapter fake_weights() {
    auto owner = std::make_shared<int>();
    return {owner, reinterpret_cast<llama_adapter_lora*>(owner.get())};
}

/// A folder of files `<name>.gguf` of 512 bytes, removed at the end.
struct adapter_folder {
    adapter_folder(std::initializer_list<const char*> names) {
        std::filesystem::create_directories(path);
        for (const std::string name : names) {
            std::ofstream{path / (name + ".gguf")} << std::string(512, 'x');
        }
    }
    ~adapter_folder() { std::filesystem::remove_all(path); }
    adapter_folder(const adapter_folder&) = delete;
    adapter_folder& operator=(const adapter_folder&) = delete;

    std::filesystem::path path =
        std::filesystem::temp_directory_path() / ("truffula-adapters-" + std::to_string(getpid()));
};

inline request ask(std::uint64_t id, std::vector<token> prompt, std::uint32_t most_new = 4) {
    request r;
    r.id = id;
    r.prompt = std::move(prompt);
    r.stop.max_new_tokens = most_new;
    return r;
}

template <class... Requests>
std::vector<request> list(Requests... requests) {
    std::vector<request> all;
    (all.push_back(std::move(requests)), ...);
    return all;
}

}  // namespace truffula::shard_llama
