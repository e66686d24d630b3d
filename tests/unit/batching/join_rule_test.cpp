#include "batching/join_rule.hpp"

#include <catch2/catch.hpp>

using truffula::batching::join_rule;

TEST_CASE("join rule: the minimum is the ratio of those that run, rounded down", "[batching]") {
    const join_rule rule{1.2F, 20};
    CHECK(rule.min_size(10) == 12);
    CHECK(rule.min_size(1) == 1);
    CHECK(join_rule{0.3F, 20}.min_size(3) == 0);
}

TEST_CASE("join rule: after max_waiting_tokens steps any size will do", "[batching]") {
    join_rule rule{1.2F, 2};
    rule.decoded();
    CHECK(rule.min_size(10) == 12);
    rule.decoded();
    CHECK_FALSE(rule.min_size(10));
    rule.joined();
    CHECK(rule.min_size(10) == 12);
}
