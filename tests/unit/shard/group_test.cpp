// A group of shards as one: what is sent to whom, and how answers are united.
#include "generate.pb.h"
#include "support/run_coro.hpp"
#include "unit/shard/group_world.hpp"

#include <catch2/catch.hpp>

#include <limits>

using namespace truffula;
using namespace std::chrono_literals;
using test::run_coro;
using test::two_shards;
namespace asio = boost::asio;
namespace wire = generate::v1;

namespace {

/// The answer of a shard that computed `ids` of the batch with id 7 and requests 1, 2.
wire::DecodeResponse part(std::vector<std::uint64_t> ids) {
    wire::DecodeResponse answer;
    for (const auto id : ids) answer.add_generations()->set_request_id(id);
    auto& batch = *answer.mutable_batch();
    batch.set_id(7);
    batch.add_request_ids(1);
    batch.add_request_ids(2);
    batch.set_size(2);
    return answer;
}

result<shard::step_answer> decode(two_shards& w) {
    result<shard::step_answer> out = error{};
    run_coro([&]() -> asio::awaitable<void> {
        const auto call = w.group->start_decode({});
        out = co_await call->get();
    });
    return out;
}

}  // namespace

TEST_CASE("group: generations stand side by side, the last shard's batch goes back", "[shard]") {
    two_shards w;
    auto last = part({2});
    last.mutable_batch()->set_max_tokens(99);
    w.scripts[0]->answers.emplace_back(part({1}).SerializeAsString());
    w.scripts[1]->answers.emplace_back(last.SerializeAsString());
    const auto got = decode(w).value();
    REQUIRE(got.spans.size() == 2);
    CHECK(got.spans[0].request_id == 1);
    CHECK(got.spans[0].buffer == 0);
    CHECK(got.spans[1].request_id == 2);
    CHECK(got.spans[1].buffer == 1);
    REQUIRE(got.batch);
    CHECK(got.batch->wire == last.batch().SerializeAsString());

    const auto request = w.group->start_decode(std::array{&*got.batch});
    wire::DecodeRequest sent;
    REQUIRE(sent.ParseFromString(w.scripts[0]->asked.back().second));
    CHECK(sent.batches(0).max_tokens() == 99);
    CHECK(w.scripts[1]->asked.back() == w.scripts[0]->asked.back());
}

TEST_CASE("group: a gap lies between an answer and the Decode that follows it", "[shard]") {
    two_shards w;
    for (const auto& s : w.scripts) s->holds = true;
    const auto step = [&w] {
        const auto call = w.group->start_decode({});
        for (const auto& s : w.scripts) {
            result<std::string> answer = part({1, 2}).SerializeAsString();
            s->give(answer);
        }
    };
    step();
    CHECK_FALSE(w.group->last_step_gap());
    step();
    CHECK(w.group->last_step_gap());
    w.group->start_embed({});
    step();
    CHECK_FALSE(w.group->last_step_gap());  // nor is it the one before
}

TEST_CASE(
    "group: there is no gap after a Prefill that is under way, nor after a Decode", "[shard]") {
    two_shards w;
    for (const auto& s : w.scripts) s->holds = true;
    const auto answer = [&w](const std::string& bytes) {
        for (const auto& s : w.scripts) {
            result<std::string> one = bytes;
            s->give(one);
        }
    };
    const auto first = w.group->start_decode({});
    answer(part({1, 2}).SerializeAsString());
    SECTION("a Prefill") {
        const auto prefill = w.group->start_prefill({});
        const auto second = w.group->start_decode({});
        CHECK_FALSE(w.group->last_step_gap());
    }
    SECTION("a Decode") {
        const auto second = w.group->start_decode({});
        CHECK(w.group->last_step_gap());
        const auto third = w.group->start_decode({});
        CHECK_FALSE(w.group->last_step_gap());
    }
}

TEST_CASE("group: a gap may follow a FilterBatch", "[shard]") {
    two_shards w;
    run_coro([&]() -> asio::awaitable<void> {
        const std::vector<std::uint64_t> ids{1};
        const auto call = w.group->start_filter(7, ids);
        const auto got = co_await call->get();
        CHECK(got.has_value());
        for (const auto& s : w.scripts) s->holds = true;
        const auto step = w.group->start_decode({});
        CHECK(w.group->last_step_gap());
    });
}

TEST_CASE("group: of embeddings that several shards computed the first counts", "[shard]") {
    two_shards w;
    for (const std::size_t i : {0U, 1U}) {
        wire::EmbedResponse answer;
        for (const std::uint64_t id : {5U, 6U}) {
            auto& one = *answer.add_embeddings();
            one.set_request_id(id);
            one.add_values(static_cast<float>(i));
        }
        w.scripts[i]->answers.emplace_back(answer.SerializeAsString());
    }
    run_coro([&]() -> asio::awaitable<void> {
        const auto call = w.group->start_embed({});
        const auto got = co_await call->get();
        REQUIRE(got.has_value());
        REQUIRE(got->size() == 2);
        for (const auto& one : *got) CHECK((*one.answer)->embedding == std::vector<float>{0.0F});
    });
}

TEST_CASE("group: a step is shown once, when the last shard has answered", "[shard]") {
    two_shards w;
    for (const auto& s : w.scripts) s->holds = true;
    const auto call = w.group->start_decode({});
    std::vector<result<shard::step_answer>> shown;
    call->on_answer([&](const auto& answer) { shown.push_back(answer); });
    result<std::string> fine = part({1}).SerializeAsString();
    result<std::string> failed = error{errc::rpc_failed, "out of memory"};
    SECTION("all well") {
        w.scripts[1]->give(fine);
        CHECK(shown.empty());
        result<std::string> other = part({2}).SerializeAsString();
        w.scripts[0]->give(other);
        REQUIRE(shown.size() == 1);
        REQUIRE(shown.front());
        CHECK(shown.front()->spans[0].request_id == 2);
        CHECK(shown.front()->spans[1].request_id == 1);
    }
    SECTION("the first fails") {
        w.scripts[0]->give(failed);
        CHECK(shown.empty());
        w.scripts[1]->give(fine);
        REQUIRE(shown.size() == 1);
        REQUIRE(!shown.front());
        CHECK(shown.front().error().detail == "out of memory");
    }
}

TEST_CASE("group: an answer that is there is shown at once", "[shard]") {
    two_shards w;
    w.scripts[0]->answers.emplace_back(part({1}).SerializeAsString());
    w.scripts[1]->answers.emplace_back(part({2}).SerializeAsString());
    const auto call = w.group->start_decode({});
    bool is_shown = false;
    call->on_answer([&](const auto& answer) { is_shown = answer.has_value(); });
    CHECK(is_shown);
    run_coro([&]() -> asio::awaitable<void> {
        const auto answer = co_await call->get();
        CHECK(answer);  // what was shown is still given
    });
}

TEST_CASE("group: shards that tell of different batches have lost it", "[shard]") {
    two_shards w;
    auto other = part({2});
    SECTION("another id") {
        other.mutable_batch()->set_id(8);
    }
    SECTION("other requests") {
        other.mutable_batch()->set_request_ids(1, 3);
    }
    SECTION("another size") {
        other.mutable_batch()->set_size(3);
    }
    SECTION("none") {
        other.clear_batch();
    }
    w.scripts[0]->answers.emplace_back(part({1}).SerializeAsString());
    w.scripts[1]->answers.emplace_back(other.SerializeAsString());
    const auto got = decode(w);
    REQUIRE(got.has_error());
    CHECK(got.error().code == errc::protocol);
    CHECK(got.error().detail.find("disagree") != std::string::npos);
}

TEST_CASE("group: one shard's error is the group's", "[shard]") {
    for (const std::size_t which : {0U, 1U}) {
        two_shards w;
        w.scripts[which]->answers.emplace_back(error{errc::rpc_failed, "out of memory"});
        w.scripts[1 - which]->answers.emplace_back(part({1}).SerializeAsString());
        const auto got = decode(w);
        REQUIRE(got.has_error());
        CHECK(got.error().code == errc::rpc_failed);
        CHECK(got.error().detail == "out of memory");
    }
}

TEST_CASE("group: a filtered batch must be the same on all shards", "[shard]") {
    for (const std::uint64_t second : {1U, 2U}) {
        two_shards w;
        for (const std::size_t i : {0U, 1U}) {
            wire::FilterBatchResponse answer;
            answer.mutable_batch()->set_id(7);
            answer.mutable_batch()->add_request_ids(i == 0 ? 1 : second);
            w.scripts[i]->answers.emplace_back(answer.SerializeAsString());
        }
        run_coro([&]() -> asio::awaitable<void> {
            const std::vector<std::uint64_t> ids{1};
            const auto call = w.group->start_filter(7, ids);
            const auto got = co_await call->get();
            CHECK(got.has_value() == (second == 1));
        });
    }
}

TEST_CASE("group: downloads go to the first shard, loads to all", "[shard]") {
    two_shards w;
    shard::adapter_call what;
    what.what.ids = {"a"};
    what.api_token = "secret";
    what.index = 3;
    run_coro([&]() -> asio::awaitable<void> {
        wire::DownloadAdapterResponse answer;
        answer.set_memory_fraction(0.25F);
        w.scripts[0]->answers.emplace_back(answer.SerializeAsString());
        const auto share = co_await w.group->download_adapter(what, 1s);
        CHECK(share.value() == 250'000);
        CHECK(w.scripts[0]->asked.size() == 1);
        CHECK(w.scripts[1]->asked.empty());
        const auto loaded = co_await w.group->load_adapter(what, 1s);
        CHECK(loaded.has_value());
        CHECK(w.scripts[1]->asked.back().first == "LoadAdapter");
        const auto offloaded = co_await w.group->offload_adapter(what, 1s);
        CHECK(offloaded.has_value());
        CHECK(w.scripts[1]->asked.back().second.find("secret") == std::string::npos);
    });
}

TEST_CASE("group: a memory share that is no share is a protocol error", "[shard]") {
    for (const float bad :
         {-0.1F,
          std::numeric_limits<float>::quiet_NaN(),
          -std::numeric_limits<float>::infinity()}) {
        two_shards w;
        wire::DownloadAdapterResponse answer;
        answer.set_memory_fraction(bad);
        w.scripts[0]->answers.emplace_back(answer.SerializeAsString());
        run_coro([&]() -> asio::awaitable<void> {
            shard::adapter_call what;
            const auto share = co_await w.group->download_adapter(what, 1s);
            REQUIRE(share.has_error());
            CHECK(share.error().code == errc::protocol);
        });
    }
    two_shards w;
    wire::DownloadAdapterResponse answer;
    answer.set_memory_fraction(std::numeric_limits<float>::infinity());
    w.scripts[0]->answers.emplace_back(answer.SerializeAsString());
    run_coro([&]() -> asio::awaitable<void> {
        shard::adapter_call what;
        const auto share = co_await w.group->download_adapter(what, 1s);
        REQUIRE(share.has_value());
        CHECK(*share > 1'000'000);  // never fits, and is refused as such
    });
}

TEST_CASE("group: polls every shard", "[shard]") {
    two_shards shards;
    shards.group->poll();
    CHECK(shards.scripts[0]->polls == 1);
    CHECK(shards.scripts[1]->polls == 1);
}
