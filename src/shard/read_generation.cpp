#include "truffula/shard/read_generation.hpp"

#include "generate.pb.h"

#include <utility>

namespace truffula::shard {
namespace {

namespace wire = generate::v1;

error broken(const char* what) {
    return {errc::protocol, std::string{"the shard's answer "} + what};
}

template <class Tokens>
bool is_even(const Tokens& t) {
    return t.ids_size() == t.logprobs_size() && t.ids_size() == t.texts_size();
}

result<inference::token> read_token(wire::NextTokens& from, int i) {
    inference::token t;
    t.id = from.ids(i);
    t.logprob = from.logprobs(i);
    t.text = std::move(*from.mutable_texts(i));
    t.special = from.is_special(i);
    t.skipped = i > 0;
    if (i >= from.alternative_tokens_size()) return t;
    auto& alternatives = *from.mutable_alternative_tokens(i);
    if (!is_even(alternatives)) return broken("has lists of alternatives of unequal length");
    for (int n = 0; n < alternatives.ids_size(); ++n) {
        t.alternatives.push_back(
            {alternatives.ids(n),
             std::move(*alternatives.mutable_texts(n)),
             alternatives.logprobs(n)});
    }
    return t;
}

result<inference::generated_text> read_text(wire::GeneratedText& from) {
    inference::generated_text out;
    switch (from.finish_reason()) {
        case wire::FINISH_REASON_LENGTH: out.reason = inference::finish_reason::length; break;
        case wire::FINISH_REASON_EOS_TOKEN: out.reason = inference::finish_reason::eos_token; break;
        case wire::FINISH_REASON_STOP_SEQUENCE:
            out.reason = inference::finish_reason::stop_sequence;
            break;
        default: return broken("ends for an unknown reason");
    }
    out.text = std::move(*from.mutable_text());
    out.generated_tokens = from.generated_tokens();
    out.skipped_tokens = from.skipped_tokens();
    if (from.has_seed()) out.seed = from.seed();
    return out;
}

}  // namespace

result<inference::step> read_generation(std::string_view bytes) {
    wire::Generation g;
    if (!g.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
        return broken("cannot be parsed");
    }
    auto& next = *g.mutable_next_tokens();
    if (next.ids_size() == 0) return broken("has no token");
    if (!is_even(next) || next.is_special_size() != next.ids_size()) {
        return broken("has lists of tokens of unequal length");
    }
    inference::step step;
    step.prefill_length = g.prefill_tokens_length();
    auto& prefill = *g.mutable_prefill_tokens();
    if (!is_even(prefill)) return broken("has lists of prompt tokens of unequal length");
    for (int i = 0; i < prefill.ids_size(); ++i) {
        step.prefill_tokens.push_back(
            {prefill.ids(i), std::move(*prefill.mutable_texts(i)), prefill.logprobs(i)});
    }
    for (int i = 0; i < next.ids_size(); ++i) {
        auto token = read_token(next, i);
        if (!token) return token.error();
        step.tokens.push_back(std::move(*token));
    }
    if (!g.has_generated_text()) return step;
    auto text = read_text(*g.mutable_generated_text());
    if (!text) return text.error();
    if (text->generated_tokens == 0) return broken("ends with a token count of 0");
    step.finished = std::move(*text);
    return step;
}

}  // namespace truffula::shard
