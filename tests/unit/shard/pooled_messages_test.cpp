#include "shard/pooled_messages.hpp"

#include "support/run_coro.hpp"

#include <catch2/catch.hpp>

#include <limits>

using namespace truffula;
using namespace truffula::shard;

namespace {

inference::request request_of(inference::task kind) {
    inference::request what;
    what.kind = kind;
    what.inputs = "hello";
    what.input_ids = {1, 2, 3};
    what.input_length = 3;
    what.stopping.max_new_tokens = 1;
    return what;
}

}  // namespace

TEST_CASE("shard: Embed and Classify carry no parameters", "[shard]") {
    const auto what = request_of(inference::task::embed);
    prefill_batch batch;
    batch.id = 7;
    batch.max_tokens = 4;
    prefill_request r;
    r.id = 42;
    r.what = &what;
    r.adapter_index = 5;
    r.adapter_id = "a";
    batch.requests.push_back(r);
    wire::EmbedRequest embed;
    REQUIRE(embed.ParseFromString(embed_message(batch)));
    CHECK(embed.batch().id() == 7);
    CHECK(embed.batch().size() == 1);
    CHECK(embed.batch().max_tokens() == 4);
    const auto& sent = embed.batch().requests(0);
    CHECK(sent.id() == 42);
    CHECK(sent.inputs() == "hello");
    CHECK(sent.tokenized_inputs().ids_size() == 3);
    CHECK(sent.truncate() == 0);
    CHECK(sent.adapter_index() == 5);
    CHECK_FALSE(sent.has_parameters());
    CHECK_FALSE(sent.has_stopping_parameters());
    wire::ClassifyRequest classify;
    REQUIRE(classify.ParseFromString(classify_message(batch)));
    CHECK(classify.batch().SerializeAsString() == embed.batch().SerializeAsString());
}

TEST_CASE("shard: an embedding is read, or its request fails", "[shard]") {
    wire::EmbedResponse answer;
    auto& good = *answer.add_embeddings();
    good.set_request_id(1);
    good.add_values(0.5F);
    good.add_values(-1.0F);
    answer.add_embeddings()->set_request_id(2);  // no numbers
    auto& bad = *answer.add_embeddings();
    bad.set_request_id(3);
    bad.add_values(1.0F);
    bad.add_values(
        GENERATE(std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()));
    const auto all = read_embed_answer(answer.SerializeAsString());
    REQUIRE(all);
    REQUIRE(all->size() == 3);
    REQUIRE((*all)[0].answer);
    CHECK((*(*all)[0].answer)->embedding == std::vector<float>{0.5F, -1.0F});
    CHECK((*all)[1].answer.has_error());
    REQUIRE((*all)[2].answer.has_error());
    CHECK((*all)[2].answer.error().code == errc::protocol);
}

TEST_CASE("shard: labels are read, or their request fails", "[shard]") {
    wire::ClassifyResponse answer;
    auto& good = *answer.add_classify_prediction_lists();
    good.set_request_id(1);
    good.add_predictions("O");
    good.add_scores(0.5F);
    auto& unequal = *answer.add_classify_prediction_lists();
    unequal.set_request_id(2);
    unequal.add_predictions("O");
    auto& bad = *answer.add_classify_prediction_lists();
    bad.set_request_id(3);
    bad.add_predictions("O");
    bad.add_scores(std::numeric_limits<float>::quiet_NaN());
    answer.add_classify_prediction_lists()->set_request_id(4);  // a text without tokens
    const auto all = read_classify_answer(answer.SerializeAsString());
    REQUIRE(all);
    REQUIRE(all->size() == 4);
    REQUIRE((*all)[0].answer);
    CHECK((*(*all)[0].answer)->labels == std::vector<std::string>{"O"});
    REQUIRE((*all)[1].answer.has_error());
    CHECK((*all)[1].answer.error().detail.find("1 labels and 0 scores") != std::string::npos);
    CHECK((*all)[2].answer.has_error());
    CHECK((*all)[3].answer.has_value());
}

TEST_CASE("shard: an error message fails the call, as does garbage", "[shard]") {
    wire::EmbedResponse embed;
    embed.add_embeddings()->add_values(1.0F);
    embed.set_errormsg("out of memory");
    const auto failed = read_embed_answer(embed.SerializeAsString());
    REQUIRE(failed.has_error());
    CHECK(failed.error().code == errc::rpc_failed);
    CHECK(failed.error().detail == "out of memory");
    wire::ClassifyResponse classify;
    classify.set_errormsg("out of memory");
    CHECK(read_classify_answer(classify.SerializeAsString()).has_error());
    const auto garbage = read_embed_answer("\x0a\xff");
    REQUIRE(garbage.has_error());
    CHECK(garbage.error().code == errc::protocol);
}
