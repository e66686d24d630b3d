#include "shard/messages.hpp"

#include <algorithm>
#include <array>

namespace truffula::shard {
namespace {

/// A black picture of 20 by 20 points for models that see: a PNG of one bit per point.
constexpr std::array<unsigned char, 69> picture{
    0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0x00, 0x00, 0x00, 0x0D, 0x49, 0x48,
    0x44, 0x52, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x14, 0x01, 0x00, 0x00, 0x00,
    0x00, 0xA5, 0xF2, 0x20, 0xA0, 0x00, 0x00, 0x00, 0x0C, 0x49, 0x44, 0x41, 0x54, 0x78,
    0xDA, 0x63, 0x60, 0xA0, 0x2E, 0x00, 0x00, 0x00, 0x50, 0x00, 0x01, 0xCD, 0xCD, 0x24,
    0x86, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82};

std::string long_text(std::uint32_t words) {
    std::string text;
    text.reserve(std::size_t{words} * 6);
    for (std::uint32_t i = 0; i < words; ++i) text += "_test ";
    return text;
}

/// All that sampling has, so that nothing is set up for the first time under load.
void ask_for_everything(wire::Request& r) {
    auto& p = *r.mutable_parameters();
    p.set_temperature(0.9F);
    p.set_top_k(10);
    p.set_top_p(0.9F);
    p.set_typical_p(0.9F);
    p.set_do_sample(false);
    p.set_seed(0);
    p.set_repetition_penalty(1.2F);
    p.set_frequency_penalty(0.5F);
    p.set_presence_penalty(0.5F);
    p.set_watermark(true);
    r.set_prefill_logprobs(true);
}

}  // namespace

std::string warmup_message(const warmup_limits& limits) {
    wire::WarmupRequest m;
    auto& batch = *m.mutable_batch();
    const auto text = long_text(limits.max_input_length);
    std::uint32_t tokens = 0;
    while (tokens < limits.max_prefill_tokens) {
        auto& r = *batch.add_requests();
        const auto truncate = std::min(limits.max_input_length, limits.max_prefill_tokens - tokens);
        r.set_id(0);
        r.set_inputs(text);
        r.mutable_tokenized_inputs()->add_input_chunks()->set_text(text);
        if (batch.requests_size() == 1) {
            auto& image = *r.mutable_tokenized_inputs()->add_input_chunks()->mutable_image();
            image.set_data(picture.data(), picture.size());
            image.set_mimetype("image/jpeg;base64");
        }
        r.set_truncate(truncate);
        ask_for_everything(r);
        r.mutable_stopping_parameters()->set_max_new_tokens(limits.max_total_tokens - truncate);
        r.mutable_stopping_parameters()->set_ignore_eos_token(true);
        tokens += limits.max_input_length;
    }
    batch.set_id(0);
    batch.set_size(static_cast<std::uint32_t>(batch.requests_size()));
    batch.set_max_tokens(limits.max_input_length);
    m.set_max_input_length(limits.max_input_length);
    m.set_max_prefill_tokens(limits.max_prefill_tokens);
    m.set_max_new_tokens(limits.max_total_tokens - limits.max_input_length);
    return m.SerializeAsString();
}

}  // namespace truffula::shard
