#include "shard/messages.hpp"

#include <catch2/catch.hpp>

using namespace truffula;

namespace {

shard::wire::PrefillRequest sent(const shard::prefill_batch& batch) {
    shard::wire::PrefillRequest m;
    REQUIRE(m.ParseFromString(shard::prefill_message(batch)));
    return m;
}

template <class List>
std::vector<std::uint32_t> all(const List& list) {
    return {list.begin(), list.end()};
}

}  // namespace

TEST_CASE("prefill message: a slot for each reserved token, inside its block", "[shard]") {
    inference::request what;
    const std::vector<std::uint32_t> blocks{7, 3};
    shard::prefill_batch batch;
    auto& r = batch.requests.emplace_back();
    r.what = &what;
    r.blocks = blocks;
    r.block_size = 4;
    r.slot_count = GENERATE(5U, 8U, 9U);  // the last: more than there is room for
    const auto m = sent(batch).batch().requests(0);
    CHECK(all(m.blocks()) == blocks);
    std::vector<std::uint32_t> slots{28, 29, 30, 31, 12, 13, 14, 15};
    slots.resize(r.slot_count);
    CHECK(all(m.slots()) == slots);
    CHECK(m.cache_len() == 0);
    CHECK_FALSE(m.has_chunk_len());
}

TEST_CASE("prefill message: what is cached, what is cut, and what runs", "[shard]") {
    inference::request what;
    shard::wire::CachedBatch known;
    known.set_id(300);
    known.add_request_ids(4);
    known.set_size(1);
    shard::cached_batch running;
    running.wire = known.SerializeAsString();
    shard::prefill_batch batch;
    batch.id = 5;
    auto& r = batch.requests.emplace_back();
    r.what = &what;
    r.cache_len = 3;
    r.chunk_len = 2;
    CHECK_FALSE(sent(batch).has_cached_batch());
    batch.running = &running;
    const auto m = sent(batch);
    CHECK(m.batch().id() == 5);
    CHECK(m.batch().requests(0).cache_len() == 3);
    CHECK(m.batch().requests(0).chunk_len() == 2);
    CHECK(m.cached_batch().SerializeAsString() == running.wire);
}

TEST_CASE("prefill message: the health check has block 0 to itself", "[shard]") {
    const auto size = GENERATE(0U, 1U, 16U);
    shard::wire::PrefillRequest m;
    REQUIRE(m.ParseFromString(shard::health_message(size, shard::prefill_message)));
    const auto& r = m.batch().requests(0);
    CHECK(all(r.blocks()) == std::vector{0U});
    CHECK(r.slots_size() == static_cast<int>(std::max(size, 1U)));
    CHECK(r.slots(r.slots_size() - 1) == std::max(size, 1U) - 1);
}
