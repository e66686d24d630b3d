#include "shard_sim/batches.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace truffula::shard_sim {
namespace {

std::string not_found(std::uint64_t id) {
    return "Batch ID " + std::to_string(id) + " not found in cache.";
}

}  // namespace

std::size_t batches::live_requests() const {
    std::size_t sum = 0;
    for (const auto& [id, b] : batches_) sum += b.size();
    return sum;
}

bool batches::is_mine(std::uint64_t id, std::size_t position) const {
    const auto key = options_.kind == layout::padded ? position : id;
    return key % options_.world == options_.rank;
}

wire::CachedBatch batches::describe(std::uint64_t id, const batch& b) {
    wire::CachedBatch out;
    out.set_id(id);
    out.set_size(static_cast<std::uint32_t>(b.size()));
    std::uint32_t most = 0;
    std::uint32_t next = 0;
    for (const auto& s : b) {
        out.add_request_ids(s.id());
        most += s.prompt_tokens() + s.max_new_tokens();
        next += s.next_input();
    }
    out.set_max_tokens(most);
    out.set_current_tokens(next);
    return out;
}

/// As LoRAX's shards do: the youngest first, each gets what is left of the budget, at least a
/// token, and one is kept for each request of the batch.
void batches::plan_parts(batch& b) const {
    const auto others = static_cast<std::uint32_t>(b.size()) - 1;
    auto left = prefill_budget_ - std::min(prefill_budget_, others);
    for (auto s = b.rbegin(); s != b.rend(); ++s) {
        if (s->uncomputed_tokens() == 0) continue;
        const auto part = std::max(std::min(s->uncomputed_tokens(), left), 1U);
        left -= std::min(left, part);
        s->plan(part);
    }
}

step batches::run(std::uint64_t id, bool withhold_end) {
    step out;
    out.batch_id = id;
    auto& b = batches_.at(id);
    // While any prompt is computed, LoRAX's shards tell the length of every request's text.
    const bool tells_length =
        options_.kind != layout::padded && std::any_of(b.begin(), b.end(), [](const sequence& s) {
            return s.uncomputed_tokens() > 0;
        });
    for (std::size_t i = 0; i < b.size(); ++i) {
        auto& s = b[i];
        const auto before = s.generated_tokens();
        step_note note;
        note.id = s.id();
        note.prompt_tokens = s.compute_prompt();
        note.computed_tokens = s.computed_tokens();
        if (s.uncomputed_tokens() > 0) {  // nothing is said of it yet
            out.notes.push_back(note);
            continue;
        }
        auto generation = before == 0 ? s.prefill(withhold_end) : s.decode(withhold_end);
        if (tells_length) generation.set_prefill_tokens_length(s.prompt_tokens() + before);
        const bool mine = is_mine(s.id(), i);
        note.tokens = s.generated_tokens() - before;
        note.ended = mine && generation.has_generated_text();
        out.notes.push_back(note);
        if (mine) out.generations.push_back(std::move(generation));
    }
    plan_parts(b);
    const auto ended = [](const sequence& s) { return s.ended(); };
    if (std::all_of(b.begin(), b.end(), ended)) {
        batches_.erase(id);
    } else {
        out.batch = describe(id, b);
    }
    return out;
}

bool batches::can_compute(const wire::Batch& in, std::string& why) const {
    for (const auto& request : in.requests()) {
        for (const auto& bad : options_.fail_prompts) {
            if (request.inputs().find(bad) == std::string::npos) continue;
            why = "cannot compute a prompt with '" + bad + "'";
            return false;
        }
    }
    if (in.requests().empty()) why = "Batch must have at least one request";
    return !in.requests().empty();
}

std::optional<step> batches::prefill(
    const wire::Batch& in,
    const std::optional<std::uint64_t>& running,
    const label_lookup& labels,
    bool withhold_end,
    std::string& why) {
    batch joined;
    if (running) {  // taken out before anything is computed
        auto node = batches_.extract(*running);
        if (node.empty()) why = not_found(*running);
        if (!why.empty()) return std::nullopt;
        joined = std::move(node.mapped());
    }
    if (!can_compute(in, why)) return std::nullopt;
    for (const auto& request : in.requests()) {
        joined.emplace_back(request, labels(request), options_);
    }
    const auto id = running.value_or(in.id());
    batches_.insert_or_assign(id, std::move(joined));
    return run(id, withhold_end);
}

std::optional<step> batches::decode(
    std::span<const std::uint64_t> ids, bool withhold_end, std::string& why) {
    if (ids.empty()) why = "Must provide at least one batch";
    // Taken out as a LoRAX shard does: those named before an unknown one are lost with the call.
    batch joined;
    for (const auto id : ids) {
        auto node = batches_.extract(id);
        if (node.empty()) why = not_found(id);
        if (!why.empty()) return std::nullopt;
        std::move(node.mapped().begin(), node.mapped().end(), std::back_inserter(joined));
    }
    if (!why.empty()) return std::nullopt;
    batches_.insert_or_assign(ids.front(), std::move(joined));
    return run(ids.front(), withhold_end);
}

std::optional<wire::CachedBatch> batches::filter(
    std::uint64_t id, std::span<const std::uint64_t> keep, std::string& why) {
    const auto found = batches_.find(id);
    if (found == batches_.end()) {
        why = not_found(id);
        return std::nullopt;
    }
    auto& b = found->second;
    std::erase_if(b, [keep](const sequence& s) {
        return std::find(keep.begin(), keep.end(), s.id()) == keep.end();
    });
    if (b.empty()) {
        batches_.erase(found);
        why = "Batch must have at least one request";
        return std::nullopt;
    }
    return describe(id, b);
}

}  // namespace truffula::shard_sim
