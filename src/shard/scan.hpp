#pragma once

#include "truffula/error/error.hpp"
#include "truffula/shard/answers.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::shard {

/// Finds the generations and the cached batch of a PrefillResponse or DecodeResponse, without
/// building them: this is done in the gap between an answer and the next step (design section 8).
/// Spans are appended to `spans` with `buffer` as their buffer.
///
/// \errors `errc::protocol` for bytes that are no such message. Texts and token lists inside the
/// generations are not looked at: `read_generation` does that.
result<std::optional<cached_batch>> scan_answer(
    std::string_view answer, std::uint32_t buffer, std::vector<generation_span>& spans);

/// A CachedBatch from its own bytes.
///
/// \errors `errc::protocol`.
result<cached_batch> scan_cached_batch(std::string_view bytes);

/// Puts `cached_batch` into a PrefillRequest's bytes: verbatim, as in a DecodeRequest.
void append_prefill_cached_batch(const cached_batch& batch, std::string& request);

/// A DecodeRequest: the batches' bytes verbatim.
std::string decode_request(std::span<const cached_batch* const> batches);

}  // namespace truffula::shard
