// What single settings may be, and what follows from several.
#include "config/option.hpp"
#include "unit/config/config_world.hpp"

#include <catch2/catch.hpp>

using namespace truffula;
using config::load;
using test::arguments;
using test::has;
using test::temporary_file;
using test::with;

TEST_CASE("config: every number has two limits that hold", "[config]") {
    for (const auto& o : config::options()) {
        const auto& a = o.allowed;
        if (!a.starts_with("a whole number, ") || a.find(" … ") == std::string::npos) continue;
        const auto low = std::stoull(a.substr(a.find(", ") + 2));
        const auto high = std::stoull(a.substr(a.find(" … ") + std::string{" … "}.size()));
        config::settings s;
        INFO(o.key());
        CHECK(o.set(s, std::to_string(low)));
        CHECK(o.set(s, std::to_string(high)));
        CHECK_FALSE(o.set(s, std::to_string(high + 1)));
        if (low > 0) CHECK_FALSE(o.set(s, std::to_string(low - 1)));
        for (const auto* bad : {"-1", "1.5", "", " 1", "0x10", "99999999999999999999", "NaN"}) {
            CHECK_FALSE(o.set(s, bad));
        }
    }
}

TEST_CASE("config: ratios are finite and not negative", "[config]") {
    for (const auto* good : {"0", "0.3", "1.2"}) {
        CHECK(load(with({"--waiting-served-ratio", good}), {}));
    }
    for (const auto* bad : {"-0.1", "nan", "inf", "x"}) {
        CHECK(load(with({std::string{"--waiting-served-ratio="} + bad}), {}).has_error());
    }
}

TEST_CASE("config: tenants' weights are a mapping, above 0", "[config]") {
    const temporary_file file{"scheduling:\n  tenant_weights: {acme: 4, a=b: 0.5}\n"};
    const auto got = load(with({"--config", file.path()}), {});
    REQUIRE(got);
    const std::vector<std::string> expected{"acme=4", "a=b=0.5"};
    CHECK(got->values.scheduling.tenant_weights == expected);
    CHECK(config::read_weight("a=b=0.5")->first == "a=b");
    CHECK(config::read_weight("a=1e6")->second == 1e6);
    CHECK(load(with({"--tenant-weights", "acme=4"}), {}));
    for (const auto* bad : {"-1", "0", "x", "nan", "1e7", ""}) {
        INFO(bad);
        const temporary_file wrong{
            "scheduling:\n  tenant_weights:\n    good: 1\n    acme: \"" + std::string{bad} +
            "\"\n"};
        const auto refused = load(with({"--config", wrong.path()}), {});
        REQUIRE_FALSE(refused);
        CHECK(has(refused.error().detail, wrong.path() + ":4: tenant_weights: found `acme="));
    }
    CHECK_FALSE(load(with({"--tenant-weights", "acme"}), {}));
    CHECK_FALSE(load(with({"--tenant-weights", "=1"}), {}));
}

TEST_CASE("config: a tenant has one weight", "[config]") {
    const std::vector<std::string> two{"--tenant-weights", "acme=4", "--tenant-weights"};
    auto others = two;
    others.emplace_back("acm=4");
    CHECK(load(with(others), {}));
    auto same = two;
    same.emplace_back("acme=5");
    const auto refused = load(with(same), {});
    REQUIRE_FALSE(refused);
    CHECK(has(refused.error().detail, "tenant_weights: found two weights of acme; give it one"));
}

TEST_CASE("config: an adapter is pinned once", "[config]") {
    const auto refused = load(with({"--pinned", "a", "--pinned", "b", "--pinned", "a"}), {});
    REQUIRE_FALSE(refused);
    CHECK(has(refused.error().detail, "pinned: found a twice; name it once"));
}

TEST_CASE("config: pinned adapters leave a slot for others", "[config]") {
    const std::vector<std::string> two{"--pinned", "a", "--pinned", "b", "--max-active-adapters"};
    auto fits = two;
    fits.emplace_back("3");
    CHECK(load(with(fits), {})->values.adapters.pinned == std::vector<std::string>{"a", "b"});
    auto full = two;
    full.emplace_back("2");
    const auto wrong = load(with(full), {});
    REQUIRE_FALSE(wrong);
    CHECK(has(wrong.error().detail, "found 2 adapters; must be fewer than max_active_adapters (2"));
}

TEST_CASE("config: the first wait of an adapter is not above the longest", "[config]") {
    const auto waits = [](const char* first, const char* longest) {
        return load(with({"--adapter-backoff-s", first, "--adapter-max-backoff-s", longest}), {});
    };
    CHECK(waits("7", "7"));
    const auto wrong = waits("8", "7");
    REQUIRE_FALSE(wrong);
    CHECK(
        has(wrong.error().detail,
            "adapter_backoff_s: found 8; must not be above adapter_max_backoff_s (7)"));
}

TEST_CASE("config: all words for yes and no, in any case", "[config]") {
    for (const auto* yes : {"1", "true", "yes", "on", "t", "y", "YES", "True"}) {
        INFO(yes);
        CHECK(load(with({}), {{"EAGER_PREFILL", yes}})->values.batching.eager_prefill);
    }
    for (const auto* no : {"0", "false", "no", "off", "f", "n", "NO", "False"}) {
        INFO(no);
        CHECK_FALSE(load(with({}), {{"EAGER_PREFILL", no}})->values.batching.eager_prefill);
    }
    CHECK(load(with({}), {{"EAGER_PREFILL", "maybe"}}).has_error());
}

TEST_CASE("config: waits are weighed unless a ratio is given, or as join says", "[config]") {
    const auto ratio = [](arguments given, config::environment env = {}) {
        const auto got = load(with(std::move(given)), env);
        REQUIRE(got);
        return config::joining_ratio(got->values);
    };
    CHECK_FALSE(ratio({}));
    CHECK(ratio({"--waiting-served-ratio", "1.2"}) == 1.2F);
    CHECK_FALSE(ratio({"--waiting-served-ratio", "1.2"}, {{"JOIN", "auto"}}));
    CHECK(ratio({}, {{"JOIN", "ratio"}}) == 0.3F);
    CHECK_FALSE(ratio({"--max-waiting-tokens", "5"}));
    const auto wrong = load(with({"--join", "never"}), {});
    REQUIRE_FALSE(wrong);
    CHECK(has(wrong.error().detail, "found `never`; allowed: one of auto, ratio"));
}

TEST_CASE("config: total budget and its checks (contract section 3)", "[config]") {
    config::settings s;
    CHECK(config::total_token_budget(s, std::nullopt, true) == 16'000);
    s.batching.max_batch_prefill_tokens = 17'000;
    CHECK(config::total_token_budget(s, std::nullopt, true) == 17'000);
    s.batching.max_total_tokens = 18'000;
    CHECK(config::total_token_budget(s, std::nullopt, true) == 18'000);
    s = {};
    CHECK(config::total_token_budget(s, 5000U, true) == 5000);
    s.batching.max_batch_total_tokens = 4500;
    CHECK(config::total_token_budget(s, 5000U, true) == 4500);
    CHECK(config::total_token_budget(s, 4400U, true) == 4400);
    CHECK(config::total_token_budget(s, 4400U, false) == 4096);
    CHECK(config::check_budgets(s, 4096));
    CHECK(has(
        config::check_budgets(s, 4095).error().detail,
        "`max_batch_prefill_tokens` must be <= `max_batch_total_tokens`. Given: 4096 and 4095"));
    s.batching.max_total_tokens = 5000;
    CHECK(
        has(config::check_budgets(s, 4999).error().detail,
            "`max_total_tokens` must be <= `max_batch_total_tokens`. Given: 5000 and 4999"));
    s.batching.max_input_length = 4097;
    CHECK(
        has(config::check_budgets(s, 9999).error().detail,
            "`max_batch_prefill_tokens` must be >= `max_input_length`. Given: 4096 and 4097"));
    CHECK(config::check_budgets(s, 9999, true));  // longer prompts are cut
}
