// What a group asks of its shards at the start, and for their health.
#include "generate.pb.h"
#include "shard/messages.hpp"
#include "support/run_coro.hpp"
#include "unit/shard/group_world.hpp"

#include <catch2/catch.hpp>

using namespace truffula;
using namespace std::chrono_literals;
using test::run_coro;
using test::two_shards;
namespace asio = boost::asio;
namespace wire = generate::v1;

TEST_CASE("group: what the last shard says of the model counts, also for the health", "[shard]") {
    two_shards w;
    for (const std::uint32_t i : {0U, 1U}) {
        wire::InfoResponse answer;
        answer.set_block_size(16 * (i + 1));
        w.scripts[i]->answers.emplace_back(answer.SerializeAsString());
    }
    run_coro([&]() -> asio::awaitable<void> {
        const auto info = co_await w.group->info();
        CHECK(info.value().block_size == 32);
        const auto fine = co_await w.group->health_request(inference::task::generate);
        CHECK(fine.has_value());
    });
    wire::PrefillRequest sent;
    REQUIRE(sent.ParseFromString(w.scripts[1]->asked.back().second));
    CHECK(sent.batch().requests(0).slots_size() == 32);
}

TEST_CASE("group: a health request fails with its answer", "[shard]") {
    two_shards w;
    wire::EmbedResponse answer;
    answer.add_embeddings()->set_request_id(1);  // no numbers
    w.scripts[0]->answers.emplace_back(answer.SerializeAsString());
    run_coro([&]() -> asio::awaitable<void> {
        const auto got = co_await w.group->health_request(inference::task::embed);
        REQUIRE(got.has_error());
        CHECK(got.error().code == errc::protocol);
    });
}

TEST_CASE("group: the smallest total of the warm-up counts", "[shard]") {
    two_shards w;
    for (const std::size_t i : {0U, 1U}) {
        wire::WarmupResponse answer;
        answer.set_max_supported_total_tokens(i == 0 ? 5000 : 4000);
        w.scripts[i]->answers.emplace_back(answer.SerializeAsString());
    }
    run_coro([&]() -> asio::awaitable<void> {
        const shard::warmup_limits limits{64, 128, 256};
        const auto total = co_await w.group->warm_up(limits, 1s);
        CHECK(total.value() == 4000);
        const auto none = co_await w.group->warm_up(limits, 1s);  // empty answers
        CHECK_FALSE(none.value());
        wire::WarmupResponse answer;
        answer.set_max_supported_total_tokens(3000);
        w.scripts[0]->answers.emplace_back(std::string{});
        w.scripts[1]->answers.emplace_back(answer.SerializeAsString());
        const auto one = co_await w.group->warm_up(limits, 1s);
        CHECK(one.value() == 3000U);
    });
}

TEST_CASE("group: a Warmup has the longest prompts that one prefill takes", "[shard]") {
    wire::WarmupRequest m;
    const auto send = [&](const shard::warmup_limits& limits) {
        REQUIRE(m.ParseFromString(shard::warmup_message(limits)));
        CHECK(m.batch().size() == static_cast<std::uint32_t>(m.batch().requests_size()));
    };
    send({64, 128, 256});
    CHECK(m.batch().requests_size() == 2);
    send({64, 129, 256});
    CHECK(m.max_input_length() == 64);
    CHECK(m.max_prefill_tokens() == 129);
    CHECK(m.max_new_tokens() == 192);
    REQUIRE(m.batch().requests_size() == 3);
    const std::array truncated{64U, 64U, 1U};
    for (std::size_t i = 0; i < truncated.size(); ++i) {
        CAPTURE(i);
        const auto& r = m.batch().requests(static_cast<int>(i));
        CHECK(r.truncate() == truncated[i]);
        CHECK(r.stopping_parameters().max_new_tokens() == 256 - truncated[i]);
        CHECK(r.stopping_parameters().ignore_eos_token());
        const auto& chunks = r.tokenized_inputs().input_chunks();
        REQUIRE(chunks.size() == (i == 0 ? 2 : 1));  // the first one has a picture
        CHECK(chunks[0].text() == r.inputs());
        if (i == 0) CHECK(chunks[1].has_image());
    }
}

TEST_CASE("group: the longest prompts that settings allow fit into a Warmup", "[shard]") {
    const shard::warmup_limits most{4'000'000, 4'000'000, 5'000'000};
    CHECK(shard::warmup_message(most).size() < shard::transport_options{}.max_message_bytes);
}
