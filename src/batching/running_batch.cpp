#include "batching/running_batch.hpp"

#include <algorithm>

namespace truffula::batching {

void running_batch::add(std::vector<scheduler::batch_entry> joining, scheduler::time_point now) {
    for (auto& e : joining) {
        const auto& what = *e.what.what.what;
        cost_.add(what.input_length, what.stopping.max_new_tokens);
        const auto id = e.what.what.id;
        index_[id] = requests_.size();
        ids_.push_back(id);
        stamps_.push_back(0);
        steps_left_.push_back(std::max(what.stopping.max_new_tokens, 1U));
        parts_left_.push_back(e.what.chunk_len ? what.input_length : 0);
        requests_.push_back(std::make_unique<running_request>(std::move(e), now));
    }
}

/// Shards answer in the same order step after step: the hint is right nearly always.
std::size_t running_batch::find(request_id id, std::size_t hint) const {
    if (hint < ids_.size() && ids_[hint] == id) return hint;
    const auto found = index_.find(id);
    return found == index_.end() ? nobody : found->second;
}

protocol_errors running_batch::apply(
    const shard::step_answer& answer, std::size_t first, std::vector<std::size_t>& where) {
    protocol_errors wrong;
    ++call_;
    where.clear();
    where.reserve(answer.spans.size());
    std::size_t answered = 0;
    std::size_t hint = first;
    for (const auto& span : answer.spans) {
        const auto at = find(span.request_id, hint);
        where.push_back(at);
        if (at == nobody || at < first) {
            where.back() = nobody;
            ++wrong.unknown_request;
            continue;
        }
        hint = at + 1;
        if (stamps_[at] == call_) {
            where.back() = nobody;
            wrong.answered_twice +=
                fail(at, {errc::protocol, "the shards answered the request twice in one step"});
            continue;
        }
        stamps_[at] = call_;
        ++answered;
        if (parts_left_[at] > 0 && !span.has_tokens && !span.finished) {
            where.back() = nobody;  // nothing in it for the client
            wrong.too_many_steps += note_part(at);
            continue;
        }
        parts_left_[at] = 0;
        if (steps_left_[at] > 0) --steps_left_[at];
        if (span.finished) {
            end(at);
        } else if (steps_left_[at] == 0) {
            wrong.too_many_steps +=
                fail(at, {errc::protocol, "the shards went on past `max_new_tokens`"});
        }
    }
    if (answered == requests_.size() - first) return wrong;
    for (std::size_t i = first; i < requests_.size(); ++i) {
        if (stamps_[i] == call_) continue;
        if (parts_left_[i] > 0) {  // LoRAX's shards say nothing of a part
            wrong.too_many_steps += note_part(i);
            continue;
        }
        wrong.not_answered += fail(i, {errc::protocol, "the shards did not answer the request"});
    }
    return wrong;
}

/// A part of a prompt was computed. It fails if there were more parts than tokens; as `fail`.
std::uint32_t running_batch::note_part(std::size_t at) {
    if (parts_left_[at] > 1) {
        --parts_left_[at];
        return 0;
    }
    return fail(
        at, {errc::protocol, "the shards took more steps for the prompt than it has tokens"});
}

bool running_batch::goes_on_after(const shard::step_answer& answer) const {
    return answer.batch && answer.batch->request_ids.size() == live() &&
           std::ranges::none_of(answer.spans, &shard::generation_span::finished);
}

void running_batch::end(std::size_t at) {
    if (!std::exchange(requests_[at]->has_ended, true)) ++ended_;
}

bool running_batch::leave(request_id id) {
    const auto found = index_.find(id);
    if (found == index_.end()) return false;
    end(found->second);
    return true;
}

std::uint32_t running_batch::fail(std::size_t at, error why) {
    auto& r = *requests_[at];
    if (r.failure) return 0;
    r.failure = std::move(why);
    end(at);
    return 1;
}

std::size_t running_batch::live_from(std::size_t first) const {
    if (first == 0) return live();
    const auto joined = requests_.begin() + static_cast<std::ptrdiff_t>(first);
    return static_cast<std::size_t>(
        std::count_if(joined, requests_.end(), [](const auto& r) { return !r->has_ended; }));
}

std::vector<request_id> running_batch::ids_left(std::size_t first) const {
    std::vector<request_id> left;
    left.reserve(requests_.size());
    for (auto i = first; i < requests_.size(); ++i) {
        if (!requests_[i]->has_ended) left.push_back(ids_[i]);
    }
    return left;
}

void running_batch::forget(std::size_t at) {
    auto& r = *requests_[at];
    const auto& what = *r.entry().what;
    r.owned.held.note_generated(std::max(what.stopping.max_new_tokens, 1U) - steps_left_[at]);
    cost_.remove(what.input_length, what.stopping.max_new_tokens);
    index_.erase(r.entry().id);
}

void running_batch::mark_dropped(std::size_t first) {
    if (ended_ == 0) return;
    for (auto i = first; i < requests_.size(); ++i) {
        requests_[i]->is_dropped = requests_[i]->has_ended;
    }
}

std::vector<std::unique_ptr<running_request>> running_batch::remove_dropped() {
    std::vector<std::unique_ptr<running_request>> gone;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < requests_.size(); ++i) {
        if (requests_[i]->is_dropped) {
            forget(i);
            gone.push_back(std::move(requests_[i]));
            continue;
        }
        index_[ids_[i]] = kept;
        ids_[kept] = ids_[i];
        stamps_[kept] = stamps_[i];
        steps_left_[kept] = steps_left_[i];
        parts_left_[kept] = parts_left_[i];
        if (kept != i) requests_[kept] = std::move(requests_[i]);
        ++kept;
    }
    requests_.resize(kept);
    ids_.resize(kept);
    stamps_.resize(kept);
    steps_left_.resize(kept);
    parts_left_.resize(kept);
    ended_ -= gone.size();
    return gone;
}

std::vector<std::unique_ptr<running_request>> running_batch::remove_from(std::size_t first) {
    std::vector<std::unique_ptr<running_request>> gone;
    for (auto i = first; i < requests_.size(); ++i) {
        if (requests_[i]->has_ended) --ended_;
        forget(i);
        gone.push_back(std::move(requests_[i]));
    }
    requests_.resize(first);
    ids_.resize(first);
    stamps_.resize(first);
    steps_left_.resize(first);
    parts_left_.resize(first);
    return gone;
}

std::vector<adapter::adapter_key> running_batch::adapters() const {
    std::vector<adapter::adapter_key> keys;
    keys.reserve(requests_.size());
    for (const auto& r : requests_) keys.push_back(r->owned.what.key);
    std::ranges::sort(keys);
    keys.erase(std::ranges::unique(keys).begin(), keys.end());
    return keys;
}

}  // namespace truffula::batching
