#include "shard_sim/sequence.hpp"

#include <algorithm>
#include <utility>

namespace truffula::shard_sim {
namespace {

// Zero is what an absent field reads, and stands for "off" like the neutral value.
bool samples(const wire::NextTokenChooserParameters& p) {
    if (p.temperature() == 0.0F && !p.do_sample()) return false;
    const auto active = [](float share) { return share > 0.0F && share < 1.0F; };
    return p.do_sample() || p.temperature() != 1.0F || p.top_k() != 0 || active(p.top_p()) ||
           active(p.typical_p());
}

std::uint32_t cap(std::uint32_t asked, std::uint32_t limit) {
    return limit == 0 ? asked : std::min(asked, limit);
}

}  // namespace

sequence::sequence(const wire::Request& request, std::string label, const model_options& options)
    : id_(request.id()),
      prompt_(prompt_ids(request)),
      padded_(options.kind == layout::padded),
      prefill_logprobs_(request.prefill_logprobs()),
      alternatives_(request.parameters().return_k_alternatives()),
      speculate_(options.speculate),
      max_new_tokens_(cap(request.stopping_parameters().max_new_tokens(), options.max_new)),
      ignore_end_token_(request.stopping_parameters().ignore_eos_token()),
      stops_(
          request.stopping_parameters().stop_sequences().begin(),
          request.stopping_parameters().stop_sequences().end()),
      seed_(
          samples(request.parameters()) ? std::optional{request.parameters().seed()}
                                        : std::nullopt),
      // A sampled text differs from the greedy one even for seed 0.
      words_(
          prompt_,
          std::move(label),
          seed_ ? (*seed_ ^ 0x5eedULL) | 1ULL << 63U : 0,
          options.eos_after,
          options.eos_probability) {
    if (request.parameters().has_schema()) words_.write_reply(options.constrained_reply);
    computed_ = std::min(request.cache_len(), prompt_tokens() - 1);
    next_input_ = uncomputed_tokens();
    if (options.chunked_prefill && request.has_chunk_len()) {
        next_input_ = std::clamp(request.chunk_len(), 1U, next_input_);
    }
}

std::uint32_t sequence::compute_prompt() {
    const auto part = std::min(next_input_, uncomputed_tokens());
    computed_ += part;
    next_input_ = 1;
    return part;
}

wire::Generation sequence::prefill(bool withhold_end) {
    auto out = decode(withhold_end);
    out.set_prefill_tokens_length(padded_ ? 0 : prompt_tokens());
    if (!prefill_logprobs_) return out;
    auto& about = *out.mutable_prefill_tokens();
    for (std::uint32_t i = 0; i < prompt_tokens(); ++i) {
        about.add_ids(prompt_[i]);
        about.add_logprobs(words_.prompt_logprob(i));
        about.add_texts(generator::prompt_text(prompt_[i]));
        about.add_is_special(false);
    }
    return out;
}

wire::Generation sequence::decode(bool withhold_end) {
    wire::Generation out;
    out.set_request_id(id_);
    const auto tokens = generated_ == 0 ? 1 : 1 + words_.accepted(generated_, speculate_);
    for (std::uint32_t i = 0; i < tokens; ++i) {
        append(*out.mutable_next_tokens());
        if (i != 0) ++skipped_;
        if (end_if_due(words_.at(generated_ - 1), withhold_end, out)) break;
    }
    return out;
}

void sequence::append(wire::NextTokens& out) {
    const auto next = words_.at(generated_);
    out.add_ids(next.id);
    out.add_logprobs(next.logprob);
    out.add_texts(next.text);
    out.add_is_special(next.special);
    if (alternatives_ != 0) {
        auto& list = *out.add_alternative_tokens();
        for (const auto& other : words_.alternatives(generated_, alternatives_)) {
            list.add_ids(other.id);
            list.add_logprobs(other.logprob);
            list.add_texts(other.text);
        }
    }
    if (!next.special) text_ += next.text;
    ++generated_;
}

std::optional<wire::FinishReason> sequence::finish_of(const token& last) const {
    if (generated_ >= max_new_tokens_) return wire::FINISH_REASON_LENGTH;
    if (last.special && !ignore_end_token_) return wire::FINISH_REASON_EOS_TOKEN;
    const auto ends_text = [this](const std::string& stop) { return text_.ends_with(stop); };
    if (std::any_of(stops_.begin(), stops_.end(), ends_text)) {
        return wire::FINISH_REASON_STOP_SEQUENCE;
    }
    return std::nullopt;
}

bool sequence::end_if_due(const token& last, bool withhold_end, wire::Generation& out) {
    const auto reason = finish_of(last);
    if (!reason || withhold_end) return false;
    ended_ = true;
    auto& whole = *out.mutable_generated_text();
    whole.set_text(text_);
    whole.set_generated_tokens(generated_);
    whole.set_skipped_tokens(skipped_);
    whole.set_finish_reason(*reason);
    if (seed_) whole.set_seed(*seed_);
    return true;
}

}  // namespace truffula::shard_sim
