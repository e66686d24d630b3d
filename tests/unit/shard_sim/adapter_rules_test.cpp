#include "driver.hpp"

#include <catch2/catch.hpp>

using namespace truffula::shard_sim;
using namespace truffula::shard_sim::test;

namespace {

wire::Request on(std::uint64_t id, const std::string& adapter_id, std::uint32_t index) {
    auto r = request(id, 5, 9);
    r.mutable_parameters()->set_adapter_id(adapter_id);
    r.set_adapter_index(index);
    return r;
}

}  // namespace

TEST_CASE("adapter rules: download, load, use, offload", "[shard_sim]") {
    driver d{plain()};
    d.ready("sql", 1);
    d.ready("pirate", 2);
    REQUIRE(d.prefill(batch_of(1, {on(1, "sql", 1), on(2, "pirate", 2), on(3, "", 0)})));
    REQUIRE(d.filter(1, {2, 3}));
    CHECK(d.offload("sql", 1));
    REQUIRE(d.decode({1}));
    d.ready("sql", 1);
    CHECK(d.total() == 0);
    CHECK(d.under_test().checker().adapters().peak_loaded() == 2);
}

TEST_CASE("adapter rules: nothing is used before it is loaded", "[shard_sim]") {
    driver d{plain()};
    CHECK_FALSE(d.prefill(batch_of(1, {on(1, "sql", 1)})));
    CHECK(d.only(violation::adapter_not_loaded));
}

TEST_CASE("adapter rules: a load counts once it was answered", "[shard_sim]") {
    driver d{plain()};
    d.download("sql");
    wire::LoadAdapterRequest in;
    wire::LoadAdapterResponse out;
    *in.mutable_adapter_parameters() = adapter("sql");
    in.set_adapter_index(1);
    const auto loading = d.under_test().load(in, out);
    d.prefill(batch_of(1, {on(1, "sql", 1)}));
    CHECK(d.only(violation::adapter_not_loaded));
    loading.after();
    CHECK(d.prefill(batch_of(2, {on(2, "sql", 1)})));
    CHECK(d.total() == 1);
}

TEST_CASE("adapter rules: nothing is offloaded in use, nor used on after", "[shard_sim]") {
    driver d{plain()};
    d.ready("sql", 1);
    d.prefill(batch_of(1, {on(1, "sql", 1)}));
    d.offload("sql", 1);
    CHECK(d.only(violation::offload_in_use));
    d.decode({1});
    CHECK(d.count(violation::adapter_not_loaded) == 1);
}

TEST_CASE("adapter rules: a request's adapter is the one at its index", "[shard_sim]") {
    driver d{plain()};
    d.ready("sql", 1);
    SECTION("another one") {
        d.prefill(batch_of(1, {on(1, "pirate", 1)}));
    }
    SECTION("the base model") {
        d.prefill(batch_of(1, {on(1, "sql", 0)}));
    }
    CHECK(d.only(violation::adapter_mismatch));
}

TEST_CASE("adapter rules: download comes before load, on the first shard", "[shard_sim]") {
    auto o = plain();
    SECTION("first") {
        driver d{o};
        d.load("sql", 1);
        CHECK(d.only(violation::load_before_download));
    }
    SECTION("second") {
        o.model.world = 2;
        o.model.rank = 1;
        driver d{o};
        d.load("sql", 1);
        CHECK(d.total() == 0);
    }
    SECTION("a download that failed is none") {
        o.adapters.missing.insert("sql");
        driver d{o};
        CHECK(d.download("sql").error);
        d.load("sql", 1);
        CHECK(d.only(violation::load_before_download));
    }
}

TEST_CASE("adapter rules: an occupied index keeps its weights", "[shard_sim]") {
    driver d{plain()};
    d.ready("sql", 1);
    d.load("sql", 1);
    CHECK(d.total() == 0);
    CHECK(d.under_test().checker().adapters().loads_of_loaded() == 1);
    d.ready("pirate", 1);
    CHECK(d.only(violation::load_over_other));
    const auto answer = d.prefill(batch_of(1, {on(1, "", 1)}));
    REQUIRE(answer);
    CHECK(answer->generations(0).next_tokens().texts(0) == "@sql");
}

TEST_CASE("adapter rules: base model and preloaded adapters stay", "[shard_sim]") {
    auto o = plain();
    o.adapters.preloaded["fixed"] = 3;
    driver d{o};
    const auto answer = d.prefill(batch_of(1, {on(1, "fixed", 3), on(2, "__base_model__", 0)}));
    REQUIRE(answer);
    CHECK(answer->generations(0).next_tokens().texts(0) == "@fixed");
    CHECK(d.total() == 0);
    SECTION("download") {
        d.download("fixed");
    }
    SECTION("download of the base model") {
        d.download("__base_model__");
    }
    SECTION("load") {
        d.load("fixed", 3);
    }
    SECTION("load onto its index") {
        d.load("sql", 3);
    }
    SECTION("load onto the base model") {
        d.load("sql", 0);
    }
    SECTION("offload") {
        CHECK_FALSE(d.offload("fixed", 3));
    }
    SECTION("offload of the base model") {
        CHECK_FALSE(d.offload("__base_model__", 0));
    }
    CHECK(d.only(violation::fixed_adapter_moved));
}

TEST_CASE("adapter rules: memory can be full, not fuller", "[shard_sim]") {
    auto o = plain();
    o.adapters.memory = 0.25;
    o.adapters.memory_of["half"] = 0.5;
    driver d{o};
    d.ready("half", 1);
    d.ready("a", 2);
    d.ready("b", 3);
    CHECK(d.total() == 0);
    SECTION("one more") {
        d.ready("c", 4);
        CHECK(d.only(violation::adapter_memory));
    }
    SECTION("one for another") {
        d.offload("a", 2);
        d.ready("c", 4);
        CHECK(d.total() == 0);
    }
}

TEST_CASE("adapter rules: a new router does not answer for what it finds", "[shard_sim]") {
    auto o = plain();
    o.adapters.memory = 0.5;
    driver d{o};
    d.ready("a", 1);
    d.ready("b", 2);
    d.warmup(4'096);
    d.ready("a", 1);
    d.ready("c", 3);
    CHECK(d.total() == 0);
    SECTION("but for memory it took itself") {
        d.ready("d", 4);
        CHECK(d.only(violation::adapter_memory));
    }
    SECTION("and for an index it did not clear") {
        d.load("a", 2);
        CHECK(d.only(violation::load_over_other));
    }
}

TEST_CASE("adapter rules: calls for one index do not overlap", "[shard_sim]") {
    driver d{plain()};
    auto& checker = d.under_test().checker();
    const auto first = checker.begin(method::load_adapter, 4);
    checker.begin(method::load_adapter, 5);
    CHECK(d.total() == 0);
    SECTION("same") {
        checker.begin(method::offload_adapter, 4);
        CHECK(d.only(violation::adapter_calls_overlap));
    }
    SECTION("after") {
        checker.end(first);
        checker.begin(method::offload_adapter, 4);
        CHECK(d.total() == 0);
    }
}

TEST_CASE("adapter rules: an offload of nothing is counted, not blamed", "[shard_sim]") {
    driver d{plain()};
    CHECK_FALSE(d.offload("sql", 1));
    CHECK(d.total() == 0);
    CHECK(d.under_test().checker().adapters().offloads_without_load() == 1);
}

TEST_CASE("adapters: a private one needs its token, each time", "[shard_sim]") {
    auto o = plain();
    o.adapters.tokens["mine"] = "secret";
    o.adapters.unloadable.insert("heavy");
    driver d{o};
    CHECK(d.download("mine").error);
    CHECK(d.download("mine", "guess").error);
    CHECK_FALSE(d.download("mine", "secret").error);
    CHECK(d.load("mine", 1, "guess").error);
    CHECK_FALSE(d.load("mine", 1, "secret").error);
    d.download("heavy");
    CHECK(d.load("heavy", 2).error);
    CHECK(d.total() == 0);
}
