#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

struct llama_adapter_lora;

namespace truffula::shard_llama {

using token = std::int32_t;

/// Low-rank weights in memory. Shared by the table that loaded them, by the sequences that run
/// with them and by the context that has them set: the last of these frees them. Null is the base
/// model. Must not outlive its `model`.
using adapter = std::shared_ptr<llama_adapter_lora>;

/// What sequences and batches want to know of a model; tests have one without weights.
///
/// \threads const members may be called from any thread.
class vocabulary {
public:
    virtual ~vocabulary() = default;

    /// The bytes that `t` stands for; may be a part of a character. Special tokens give their name.
    virtual std::string piece(token t) const = 0;

    /// Is `t` a control token, such as end of turn?
    virtual bool is_special(token t) const = 0;

    /// Does `t` end an answer?
    virtual bool ends_answer(token t) const = 0;

    /// Entries in the vocabulary, which is also the number of logits.
    virtual std::size_t vocabulary_size() const = 0;

    /// Most positions the model was trained for, in tokens.
    virtual std::uint32_t trained_length() const = 0;
};

}  // namespace truffula::shard_llama
