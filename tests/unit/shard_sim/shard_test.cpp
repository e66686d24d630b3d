#include "driver.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <set>

using namespace truffula::shard_sim;
using namespace truffula::shard_sim::test;

namespace {

fault of_kind(fault_kind kind) {
    fault f;
    f.kind = kind;
    f.text = "as told";
    return f;
}

std::set<std::uint64_t> ids_of(const wire::PrefillResponse& answer) {
    std::set<std::uint64_t> out;
    for (const auto& g : answer.generations()) out.insert(g.request_id());
    return out;
}

}  // namespace

TEST_CASE("shard: a group shares the work, by id or by position", "[shard_sim]") {
    auto o = plain();
    o.model.world = 2;
    o.model.rank = 1;
    const auto batch = batch_of(1, {request(4, 5, 9), request(7, 5, 9), request(9, 5, 9)});
    SECTION("by id") {
        driver d{o};
        const auto answer = d.prefill(batch);
        CHECK(ids_of(*answer) == std::set<std::uint64_t>{7, 9});
        CHECK(answer->batch().request_ids_size() == 3);
        CHECK(answer->batch().size() == 3);
    }
    SECTION("by position") {
        o.model.kind = layout::padded;
        driver d{o};
        CHECK(ids_of(*d.prefill(batch)) == std::set<std::uint64_t>{7});
    }
    SECTION("service discovery names all") {
        driver d{o};
        wire::ServiceDiscoveryResponse out;
        d.under_test().service_discovery(out);
        REQUIRE(out.urls_size() == 2);
        CHECK(out.urls(1) == "unix:///sim-1");
    }
}

TEST_CASE("shard: Info tells the layout", "[shard_sim]") {
    auto o = paged();
    o.model.window = 4'096;
    o.model.speculate = 2;
    o.adapters.preloaded["fixed"] = 5;
    driver d{o};
    wire::InfoResponse out;
    d.under_test().info(out);
    CHECK(out.requires_block_allocator());
    CHECK_FALSE(out.requires_padding());
    CHECK(out.block_size() == 16);
    CHECK(out.window_size() == 4'096);
    CHECK(out.speculate() == 2);
    CHECK(out.supports_generation());
    REQUIRE(out.preloaded_adapters_size() == 1);
    CHECK(out.preloaded_adapters(0).adapter_index() == 5);
}

TEST_CASE("shard: calls cost what they are told to", "[shard_sim]") {
    using us = std::chrono::microseconds;
    auto o = plain();
    o.costs.prefill_base = us{1'000};
    o.costs.prefill_token = us{10};
    o.costs.decode_base = us{500};
    o.costs.decode_sequence = us{7};
    o.costs.download = us{3};
    driver d{o};
    wire::PrefillResponse filled;
    const auto batch = batch_of(1, {request(1, 5, 9), request(2, 3, 9)});
    CHECK(d.under_test().prefill(batch, filled, {}).cost == us{1'080});
    wire::DecodeRequest in;
    *in.add_batches() = filled.batch();
    wire::DecodeResponse out;
    CHECK(d.under_test().decode(in, out, {}).cost == us{514});
    CHECK(d.download("sql").cost == us{3});
}

TEST_CASE("shard: a prompt can spoil its whole batch", "[shard_sim]") {
    auto o = plain();
    o.model.fail_prompts.emplace_back("prompt 2");
    driver d{o};
    CHECK_FALSE(d.prefill(batch_of(1, {request(1, 5, 9), request(2, 5, 9)})));
    CHECK(d.prefill(batch_of(2, {request(1, 5, 9)})));
    CHECK(d.total() == 0);
}

TEST_CASE("shard: answers can be spoiled", "[shard_sim]") {
    driver d{plain()};
    const auto batch = batch_of(1, {request(1, 5, 9), request(2, 5, 9)});
    const auto spoiled = [&](fault_kind kind) { return *d.prefill(batch, of_kind(kind)); };
    SECTION("unknown id") {
        CHECK(ids_of(spoiled(fault_kind::unknown_id)).contains(1) == false);
    }
    SECTION("missing id") {
        CHECK(ids_of(spoiled(fault_kind::missing_id)) == std::set<std::uint64_t>{2});
    }
    SECTION("id twice") {
        CHECK(spoiled(fault_kind::duplicate_id).generations_size() == 3);
    }
    SECTION("no batch") {
        CHECK_FALSE(spoiled(fault_kind::no_batch).has_batch());
        CHECK(d.under_test().checker().live_requests() == 0);
    }
    SECTION("another batch id") {
        CHECK(spoiled(fault_kind::other_batch_id).batch().id() != 1);
    }
    SECTION("finish reason") {
        const auto answer = spoiled(fault_kind::bad_finish);
        CHECK(static_cast<int>(answer.generations(0).generated_text().finish_reason()) == 99);
        d.decode({1});
        CHECK(d.only(violation::ended_request_decoded));
    }
    SECTION("no tokens") {
        CHECK_FALSE(spoiled(fault_kind::no_tokens).generations(0).has_next_tokens());
    }
    SECTION("empty tokens") {
        const auto answer = spoiled(fault_kind::empty_tokens);
        CHECK(answer.generations(0).has_next_tokens());
        CHECK(answer.generations(0).next_tokens().ids_size() == 0);
    }
    SECTION("text without tokens") {
        const auto answer = spoiled(fault_kind::text_without_tokens);
        CHECK_FALSE(answer.generations(0).has_next_tokens());
        CHECK_FALSE(answer.generations(0).generated_text().text().empty());
    }
    SECTION("count 0") {
        const auto answer = spoiled(fault_kind::zero_count);
        REQUIRE(answer.generations(0).has_generated_text());
        CHECK(answer.generations(0).generated_text().generated_tokens() == 0);
    }
    SECTION("unequal lists") {
        const auto answer = spoiled(fault_kind::unequal_lists);
        CHECK(answer.generations(0).next_tokens().ids_size() == 1);
        CHECK(answer.generations(0).next_tokens().logprobs_size() == 0);
    }
    SECTION("bytes that are no text") {
        CHECK(spoiled(fault_kind::bad_utf8).generations(0).next_tokens().texts(0) == "\xff\xfe");
    }
    SECTION("failure") {
        CHECK_FALSE(d.prefill(batch, of_kind(fault_kind::fail)));
        CHECK(d.prefill(batch));
        CHECK(d.total() == 0);
    }
}

TEST_CASE("shard: greedy text is the same alone and in company", "[shard_sim]") {
    driver alone{plain()};
    driver company{plain()};
    auto first = alone.prefill(batch_of(1, {request(1, 5, 3)}));
    company.prefill(batch_of(1, {request(8, 4, 9)}));
    company.prefill(batch_of(2, {request(9, 9, 9), request(1, 5, 3)}));
    alone.decode({1});
    company.decode({1, 2});
    const auto one = alone.decode({1});
    const auto other = company.decode({1});
    REQUIRE(other->generations_size() == 3);
    CHECK(one->generations(0).SerializeAsString() == other->generations(2).SerializeAsString());
    CHECK(one->generations(0).has_generated_text());
}

TEST_CASE("shard: the report counts", "[shard_sim]") {
    driver d{plain()};
    d.ready("sql", 1);
    d.prefill(batch_of(1, {request(1, 5, 9), request(2, 5, 9)}));
    d.prefill(batch_of(2, {request(3, 5, 9)}));
    d.decode({1, 2});
    d.decode({7});
    const auto report = nlohmann::json::parse(d.under_test().report());
    CHECK(report["violations_total"] == 1);
    CHECK(report["violations"]["unknown_batch"] == 1);
    CHECK(report["violations"].size() == violation_names.size());
    REQUIRE(report["violation_examples"].size() == 1);
    CHECK(report["violation_examples"][0] == "unknown_batch: Decode of batch 7");
    CHECK(report["downloads"] == 1);
    CHECK(report["loads"] == 1);
    CHECK(report["loaded_adapters"]["1"] == "sql");
    CHECK(report["peak_batch_size"] == 3);
    CHECK(report["joins"] == 1);
    CHECK(report["generated_tokens"] == 6);
    CHECK(report["live_requests"] == 3);
}
