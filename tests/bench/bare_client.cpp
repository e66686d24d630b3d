#include "bench/bare_client.hpp"

#include <utility>

namespace truffula::bench {

wire::CachedBatch bare_client::decode(wire::DecodeRequest request, std::size_t steps) {
    shard_.send("Decode", request.SerializeAsString());
    for (;;) {
        wire::DecodeResponse answer;
        answer.ParseFromString(shard_.receive());
        const bool goes_on = answer.has_batch() && --steps > 0;
        if (!goes_on) return std::move(*answer.mutable_batch());
        wire::DecodeRequest next;
        next.add_batches()->Swap(answer.mutable_batch());
        shard_.send("Decode", next.SerializeAsString());
    }
}

wire::Request make_request(std::uint64_t id, std::string text, std::uint32_t new_tokens) {
    wire::Request r;
    r.set_id(id);
    r.set_inputs(std::move(text));
    auto& chosen = *r.mutable_parameters();
    chosen.set_temperature(1);
    chosen.set_top_p(1);
    chosen.set_typical_p(1);
    chosen.set_repetition_penalty(1);
    r.mutable_stopping_parameters()->set_max_new_tokens(new_tokens);
    r.mutable_stopping_parameters()->set_ignore_eos_token(true);
    return r;
}

}  // namespace truffula::bench
