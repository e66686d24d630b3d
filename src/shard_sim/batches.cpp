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
    std::uint32_t now = 0;
    for (const auto& s : b) {
        out.add_request_ids(s.id());
        most += s.prompt_tokens() + s.max_new_tokens();
        now += s.prompt_tokens() + s.generated_tokens();
    }
    out.set_max_tokens(most);
    out.set_current_tokens(now);
    return out;
}

step batches::run(std::uint64_t id, bool first, bool withhold_end) {
    step out;
    out.batch_id = id;
    auto& b = batches_.at(id);
    for (std::size_t i = 0; i < b.size(); ++i) {
        auto& s = b[i];
        const auto before = s.generated_tokens();
        auto generation = first ? s.prefill(withhold_end) : s.decode(withhold_end);
        const bool mine = is_mine(s.id(), i);
        step_note note;
        note.id = s.id();
        note.tokens = s.generated_tokens() - before;
        note.ended = mine && generation.has_generated_text();
        out.notes.push_back(note);
        if (mine) out.generations.push_back(std::move(generation));
    }
    const auto ended = [](const sequence& s) { return s.ended(); };
    if (std::all_of(b.begin(), b.end(), ended)) {
        batches_.erase(id);
    } else {
        out.batch = describe(id, b);
    }
    return out;
}

std::optional<step> batches::prefill(
    const wire::Batch& in, const label_lookup& labels, bool withhold_end, std::string& why) {
    batch fresh;
    for (const auto& request : in.requests()) {
        for (const auto& bad : options_.fail_prompts) {
            if (request.inputs().find(bad) == std::string::npos) continue;
            why = "cannot compute a prompt with '" + bad + "'";
            return std::nullopt;
        }
        fresh.emplace_back(request, labels(request), options_);
    }
    if (fresh.empty()) {
        why = "Batch must have at least one request";
        return std::nullopt;
    }
    batches_.insert_or_assign(in.id(), std::move(fresh));
    return run(in.id(), true, withhold_end);
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
    return run(ids.front(), false, withhold_end);
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
