// The scanner of the gap against protobuf's own parser.
#include "shard/scan.hpp"

#include "generate.pb.h"
#include "unit/shard/random_answer.hpp"

#include <catch2/catch.hpp>
#include <google/protobuf/stubs/logging.h>

#include <string>

using namespace truffula;
using test::random_answers;
namespace wire = generate::v1;

namespace {

std::uint64_t first_seed() {
    const auto* const text = std::getenv("TRUFFULA_WALK_SEED");
    return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

bool same(const shard::cached_batch& got, const wire::CachedBatch& want) {
    return got.id == want.id() && got.size == want.size() && got.max_tokens == want.max_tokens() &&
           got.current_tokens == want.current_tokens() &&
           std::ranges::equal(got.request_ids, want.request_ids());
}

/// What the scanner found is what the parser found.
bool same(
    const std::string& bytes,
    const std::vector<shard::generation_span>& spans,
    const std::optional<shard::cached_batch>& batch,
    const wire::DecodeResponse& want) {
    if (static_cast<int>(spans.size()) != want.generations_size()) return false;
    for (int i = 0; i < want.generations_size(); ++i) {
        const auto& span = spans[static_cast<std::size_t>(i)];
        const auto& g = want.generations(i);
        if (span.request_id != g.request_id() || span.finished != g.has_generated_text() ||
            span.has_tokens != (g.next_tokens().ids_size() > 0)) {
            return false;
        }
        wire::Generation alone;
        if (!alone.ParseFromString(bytes.substr(span.offset, span.length)) ||
            alone.SerializeAsString() != g.SerializeAsString()) {
            return false;
        }
    }
    return batch.has_value() == want.has_batch() && (!batch || same(*batch, want.batch()));
}

}  // namespace

TEST_CASE("scanner: agrees with protobuf's parser on any answer", "[shard][property]") {
    const auto first = first_seed();
    for (auto seed = first; seed < first + 20'000; ++seed) {
        random_answers random{seed};
        const auto answer = random.answer();
        const auto bytes = answer.SerializeAsString();
        std::vector<shard::generation_span> spans;
        const auto batch = shard::scan_answer(bytes, 3, spans);
        INFO("TRUFFULA_WALK_SEED=" << seed << '\n' << answer.DebugString());
        REQUIRE(batch.has_value());
        REQUIRE(same(bytes, spans, *batch, answer));
        for (const auto& span : spans) REQUIRE(span.buffer == 3);
    }
}

TEST_CASE("scanner: agrees with protobuf's parser on damaged answers", "[shard][property]") {
    google::protobuf::SetLogHandler(nullptr);
    const auto first = first_seed();
    std::size_t both = 0;
    for (auto seed = first; seed < first + 50'000; ++seed) {
        random_answers random{seed};
        const auto bytes = random.mutate(random.answer().SerializeAsString());
        std::vector<shard::generation_span> spans;
        const auto batch = shard::scan_answer(bytes, 0, spans);
        wire::DecodeResponse parsed;
        if (!parsed.ParseFromString(bytes) || !batch) continue;
        ++both;
        INFO("TRUFFULA_WALK_SEED=" << seed << '\n' << parsed.DebugString());
        REQUIRE(same(bytes, spans, *batch, parsed));
    }
    CHECK(both > 5'000);  // else the test would say little
}

TEST_CASE("scanner: a batch goes back verbatim", "[shard]") {
    random_answers random{7};
    for (int i = 0; i < 100; ++i) {
        const auto one = random.batch();
        const auto two = random.batch();
        const auto first = shard::scan_cached_batch(one.SerializeAsString()).value();
        const auto second = shard::scan_cached_batch(two.SerializeAsString()).value();
        const std::array<const shard::cached_batch*, 2> both{&first, &second};
        wire::DecodeRequest request;
        REQUIRE(request.ParseFromString(shard::decode_request(both)));
        REQUIRE(request.batches_size() == 2);
        CHECK(request.batches(0).SerializeAsString() == one.SerializeAsString());
        CHECK(request.batches(1).SerializeAsString() == two.SerializeAsString());
    }
}

TEST_CASE("scanner: fields of a later protocol go back to the shard", "[shard]") {
    wire::CachedBatch batch;
    batch.set_id(9);
    batch.GetReflection()->MutableUnknownFields(&batch)->AddLengthDelimited(77, "of a later shard");
    const auto bytes = batch.SerializeAsString();
    const auto scanned = shard::scan_cached_batch(bytes).value();
    CHECK(scanned.id == 9);
    CHECK(scanned.wire == bytes);
}
