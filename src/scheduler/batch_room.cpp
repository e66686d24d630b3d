#include "scheduler/batch_room.hpp"

#include <algorithm>
#include <string_view>

namespace truffula::scheduler {
namespace {

/// Starts from a secret: nobody can choose a name that gives another tenant's number.
std::uint64_t number_of(std::string_view tenant, std::uint64_t secret) {
    auto h = secret;
    for (const auto c : tenant) {
        h = (h ^ static_cast<unsigned char>(c)) * 0x9e3779b97f4a7c15ULL;
        h ^= h >> 32U;
    }
    return h;
}

}  // namespace

/// Tokens that a prompt may have computed now: all of it, or with chunks what is left; none if that
/// is not enough.
std::optional<std::uint32_t> batch_room::prefill_tokens_of(std::uint32_t to_compute) const {
    if (joining_.prefill_with(to_compute) <= limits_.prefill_tokens) return to_compute;
    const auto used = joining_.prefill();
    if (!limits_.cuts_prompts || used >= limits_.prefill_tokens) return std::nullopt;
    return static_cast<std::uint32_t>(limits_.prefill_tokens - used);
}

std::variant<batch_room::reservation, wait_reason> batch_room::take(
    entry& e, std::uint32_t adapter_index) {
    const auto& what = *e.what;
    const auto input = what.input_length;
    const auto output = what.stopping.max_new_tokens;
    if (is_prefill_used_up()) return wait_reason::prefill_budget;
    kv_cache::block_request request;
    kv_cache::block_offer offer;
    if (blocks_) {
        request.prompt_tokens = input;
        request.new_tokens = output;
        // An image counts as tokens that are the same for all images.
        if (what.chunks.empty()) request.ids = what.input_ids;
        request.scope.adapter_index = adapter_index;
        if (limits_.has_tenant_salt) {
            request.scope.salt = number_of(e.adapter->tenant, limits_.hash_seed);
        }
        request.reads_cache = !what.prefill_logprobs;
        if (blocks_->needs_second_look(e.memo)) {
            if (second_looks_ == most_second_looks) return wait_reason::blocks;
            ++second_looks_;
        }
        offer = blocks_->look_up(request, e.memo);
        if (!offer.fits) return wait_reason::blocks;
    } else if (running_.total_with(input, output) > limits_.total_tokens) {
        return wait_reason::total_budget;
    }
    const auto to_compute = input - offer.cached_tokens;
    const auto now = prefill_tokens_of(to_compute);
    if (!now) return wait_reason::prefill_budget;
    reservation out;
    if (blocks_) out.blocks = blocks_->allocate(request, offer);
    if (*now < to_compute) out.chunk_len = now;
    joining_.add(*now, output);
    return out;
}

}  // namespace truffula::scheduler
