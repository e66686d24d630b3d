// Which requests may queue, and until when.
#include "truffula/scheduler/scheduler_state.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>

namespace truffula::scheduler {
namespace {

/// Who has the share of a request, into `to`: its tenant; where none is known, its adapter.
void name_owner(std::string& to, const adapter::adapter_ref& ref, adapter_key key) {
    static const std::string nobody = adapter::adapter_ref{}.tenant;
    if (ref.tenant == nobody) {
        to.assign("adapter ").append(std::to_string(key));
    } else {
        to.assign("tenant ").append(ref.tenant);
    }
}

error too_large(const char* what, std::uint64_t given, const char* limit, std::uint64_t allowed) {
    return {
        errc::validation,
        std::string{what} + " must be <= " + std::to_string(allowed) + " (" + limit +
            "). Given: " + std::to_string(given)};
}

}  // namespace

/// Why no batch could ever hold the request, even alone.
std::optional<error> scheduler_state::misfit(const inference::request& what) const {
    const auto input = what.input_length;
    const bool generates = what.kind == inference::task::generate;
    const auto tokens = std::uint64_t{input} + what.stopping.max_new_tokens;
    const bool may_be_cut = generates && limits_.cuts_prompts();
    if (input > limits_.prefill_token_budget && !may_be_cut) {
        return too_large(
            "`inputs` tokens", input, "the prefill token budget", limits_.prefill_token_budget);
    }
    if (generates && tokens > limits_.total_token_budget) {
        return too_large(
            "`inputs` tokens + `max_new_tokens`",
            tokens,
            "the total token budget",
            limits_.total_token_budget);
    }
    if (!blocks_) return std::nullopt;
    const auto needed = blocks_->blocks_needed(input, what.stopping.max_new_tokens);
    if (needed <= blocks_->usable()) return std::nullopt;
    return too_large(
        "blocks for `inputs` tokens + `max_new_tokens`",
        needed,
        "all blocks of the shards but the reserved one",
        blocks_->usable());
}

/// Why the request cannot leave its queue before its deadline. The wait is estimated only where it
/// is known to be needed: behind those that may be scheduled as this one.
std::optional<error> scheduler_state::too_late(
    const entry& e, adapter_key key, time_point now) const {
    if (!e.deadline) return std::nullopt;
    const auto seconds = [](steady_clock::duration d) {
        std::array<char, 32> text{};
        std::snprintf(text.data(), text.size(), "%.1f s", std::chrono::duration<double>(d).count());
        return std::string{text.data()};
    };
    if (*e.deadline <= now) {
        return error{
            errc::timeout,
            "The request waited longer than it may: for " + seconds(now - e.created)};
    }
    const bool generates = e.what->kind == inference::task::generate;
    if (settings_.is_fair || !generates || !table_.is_ready(key)) return std::nullopt;
    const auto wait = drain_.time_for(open_count_);
    if (!wait || now + *wait <= *e.deadline) return std::nullopt;
    return error{
        errc::timeout,
        "The request would wait longer than it may: about " + seconds(*wait) + ", with " +
            seconds(*e.deadline - now) + " left"};
}

void scheduler_state::submit(entry e, time_point now) {
    const auto deadline = e.what->deadline;
    if (settings_.queue_timeout.count() > 0) {
        const auto own = e.created + settings_.queue_timeout;
        e.deadline = std::min(own, deadline.value_or(own));
    } else {
        e.deadline = deadline;
    }
    enqueue(std::move(e), now);
}

void scheduler_state::enqueue(entry e, time_point now) {
    if (auto why = misfit(*e.what)) {
        failed_.emplace_back(std::move(e), std::move(*why));
        return;
    }
    const auto joined = table_.join(*e.adapter, now);
    if (!joined) {
        failed_.emplace_back(std::move(e), joined.error());
        return;
    }
    e.memo = {};
    if (auto why = too_late(e, joined->key, now)) {
        update(joined->key);
        failed_.emplace_back(std::move(e), std::move(*why));
        return;
    }
    const bool generates = e.what->kind == inference::task::generate;
    if (settings_.is_fair && generates && !e.share.account) {
        name_owner(owner_, *e.adapter, joined->key);
        e.share = shares_.enter(
            owner_,
            e.adapter->tenant,
            e.what->priority,
            e.what->input_length,
            e.what->stopping.max_new_tokens);
    }
    insert(std::move(e), {joined->key, joined->pending});
    update(joined->key);
}

void scheduler_state::expire(time_point now) {
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
        auto gone = std::move(*remove(deadlines_.begin()->second));
        auto why = *too_late(gone, adapter::base_key, now);
        failed_.emplace_back(std::move(gone), std::move(why));
    }
}

}  // namespace truffula::scheduler
