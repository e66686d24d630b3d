#include "shard_sim/malform.hpp"

#include <utility>

namespace truffula::shard_sim {
namespace {

constexpr std::uint64_t stranger = 1'000'000'007;
constexpr int unknown_reason = 99;

void end(wire::Generation& generation, step& answer) {
    for (auto& note : answer.notes) {
        if (note.id == generation.request_id()) note.ended = true;
    }
    auto& whole = *generation.mutable_generated_text();
    if (whole.text().empty()) whole.set_text("ended by a fault");
    if (whole.generated_tokens() == 0) whole.set_generated_tokens(1);
}

void spoil_first(fault_kind kind, wire::Generation& first, step& answer) {
    switch (kind) {
        case fault_kind::unknown_id: first.set_request_id(first.request_id() + stranger); break;
        case fault_kind::no_tokens: first.clear_next_tokens(); break;
        case fault_kind::empty_tokens: first.mutable_next_tokens()->Clear(); break;
        case fault_kind::unequal_lists: first.mutable_next_tokens()->clear_logprobs(); break;
        case fault_kind::bad_utf8: first.mutable_next_tokens()->set_texts(0, "\xff\xfe"); break;
        case fault_kind::bad_finish:
            end(first, answer);
            first.mutable_generated_text()->set_finish_reason(
                static_cast<wire::FinishReason>(unknown_reason));
            break;
        case fault_kind::text_without_tokens:
            end(first, answer);
            first.clear_next_tokens();
            break;
        case fault_kind::zero_count:
            end(first, answer);
            first.mutable_generated_text()->set_generated_tokens(0);
            break;
        case fault_kind::duplicate_id: {
            auto copy = first;
            answer.generations.push_back(std::move(copy));
            break;
        }
        case fault_kind::missing_id: answer.generations.erase(answer.generations.begin()); break;
        case fault_kind::fail:
        case fault_kind::hang:
        case fault_kind::crash:
        case fault_kind::garbage:
        case fault_kind::truncated:
        case fault_kind::no_batch:
        case fault_kind::other_batch_id:
        case fault_kind::no_end: break;
    }
}

}  // namespace

void malform(fault_kind kind, step& answer) {
    if (kind == fault_kind::no_batch) answer.batch.reset();
    if (kind == fault_kind::other_batch_id && answer.batch) {
        answer.batch->set_id(answer.batch->id() + stranger);
    }
    if (!answer.generations.empty()) spoil_first(kind, answer.generations.front(), answer);
}

}  // namespace truffula::shard_sim
