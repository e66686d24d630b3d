// Answers of shards: the scanner of the gap, and the reader of one generation.
#include "fuzz_target.hpp"
#include "generate.pb.h"
#include "shard/grpc_framing.hpp"
#include "shard/scan.hpp"
#include "truffula/shard/read_generation.hpp"

#include <google/protobuf/stubs/logging.h>

using namespace truffula;
namespace pb = generate::v1;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto text = as_text(data, size);
    (void)shard::unframe(text);
    (void)shard::percent_decode(text);
    (void)shard::scan_cached_batch(text);
    (void)shard::read_generation(text);
    std::vector<shard::generation_span> spans;
    const auto batch = shard::scan_answer(text, 0, spans);
    if (!batch) return 0;
    for (const auto& span : spans) {
        if (std::size_t{span.offset} + span.length > size) __builtin_trap();
        (void)shard::read_generation(text.substr(span.offset, span.length));
    }
    if (*batch) {
        const shard::cached_batch* const one = &**batch;
        (void)shard::decode_request({&one, 1});
    }
    return 0;
}

std::vector<std::string> fuzz_seeds() {
    google::protobuf::SetLogHandler(nullptr);
    pb::DecodeResponse answer;
    for (std::uint64_t id = 1; id <= 3; ++id) {
        auto& g = *answer.add_generations();
        g.set_request_id(id);
        g.set_prefill_tokens_length(7);
        auto& tokens = *g.mutable_next_tokens();
        tokens.add_ids(5);
        tokens.add_logprobs(-0.5F);
        tokens.add_texts(" tree");
        tokens.add_is_special(false);
        if (id == 2) g.mutable_generated_text()->set_text("whole");
    }
    auto& batch = *answer.mutable_batch();
    batch.set_id(9);
    batch.add_request_ids(1);
    batch.add_request_ids(3);
    batch.set_size(2);
    batch.set_max_tokens(100);
    const auto& one = answer.generations(1);
    return {
        answer.SerializeAsString(),
        one.SerializeAsString(),
        answer.batch().SerializeAsString(),
        std::string{"\0\0\0\0\1a", 6}};
}
