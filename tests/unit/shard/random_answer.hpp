#pragma once

#include "generate.pb.h"

#include <random>
#include <string>

namespace truffula::test {

namespace wire = generate::v1;

/// Answers of a shard as protobuf can express them, sensible or not.
class random_answers {
public:
    explicit random_answers(std::uint64_t seed) : random_(seed) {}

    std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

    wire::DecodeResponse answer() {
        wire::DecodeResponse out;
        for (auto n = below(5); n > 0; --n) *out.add_generations() = generation();
        if (below(4) != 0) *out.mutable_batch() = batch();
        return out;
    }

    wire::Generation generation() {
        wire::Generation g;
        g.set_request_id(number());
        if (below(2) == 0) fill(*g.mutable_prefill_tokens());
        if (below(8) != 0) fill(*g.mutable_next_tokens());
        if (below(3) == 0) {
            auto& text = *g.mutable_generated_text();
            text.set_text(word());
            text.set_generated_tokens(static_cast<std::uint32_t>(below(3)));
            text.set_finish_reason(static_cast<wire::FinishReason>(below(4)));
            if (below(2) == 0) text.set_seed(number());
        }
        g.set_prefill_tokens_length(static_cast<std::uint32_t>(number()));
        return g;
    }

    wire::CachedBatch batch() {
        wire::CachedBatch b;
        b.set_id(number());
        for (auto n = below(5); n > 0; --n) b.add_request_ids(number());
        b.set_size(static_cast<std::uint32_t>(number()));
        b.set_max_tokens(static_cast<std::uint32_t>(number()));
        b.set_current_tokens(static_cast<std::uint32_t>(number()));
        return b;
    }

    /// One to three bytes changed, added, left out; or cut.
    std::string mutate(std::string bytes) {
        for (auto n = 1 + below(3); n > 0 && !bytes.empty(); --n) {
            const auto at = static_cast<std::ptrdiff_t>(below(bytes.size()));
            const auto byte = static_cast<char>(below(256));
            switch (below(4)) {
                case 0: bytes[static_cast<std::size_t>(at)] = byte; break;
                case 1: bytes.insert(bytes.begin() + at, byte); break;
                case 2: bytes.erase(bytes.begin() + at); break;
                default: bytes.resize(static_cast<std::size_t>(at)); break;
            }
        }
        return bytes;
    }

private:
    std::uint64_t number() { return random_() >> below(64); }
    std::string word() { return std::string(below(20), static_cast<char>('a' + below(26))); }

    /// Lists of one length, mostly.
    void fill(wire::NextTokens& tokens) {
        const auto length = below(4);
        for (std::uint64_t i = 0; i < length; ++i) {
            if (below(16) != 0) tokens.add_ids(static_cast<std::uint32_t>(number()));
            if (below(16) != 0) tokens.add_logprobs(-0.5F);
            if (below(16) != 0) tokens.add_texts(word());
            if (below(16) != 0) tokens.add_is_special(below(2) == 0);
            if (below(4) != 0) continue;
            auto& others = *tokens.add_alternative_tokens();
            others.add_ids(1);
            others.add_texts(word());
            if (below(8) != 0) others.add_logprobs(-1.0F);
        }
    }

    std::mt19937_64 random_;
};

}  // namespace truffula::test
