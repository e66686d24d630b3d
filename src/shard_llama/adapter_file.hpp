#pragma once

#include "truffula/error/error.hpp"

#include <filesystem>

namespace truffula::shard_llama {

/// Refuses LoRA files that libllama would read, and end the process over: keys of other types than
/// it expects, tensors of integers or of more than two dimensions. It compares names and shapes
/// with the model itself.
///
/// \errors `errc::validation` with a sentence.
result<> check_adapter_file(const std::filesystem::path& file);

}  // namespace truffula::shard_llama
