#include "truffula/scheduler/fair_shares.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace truffula;
using namespace std::chrono_literals;
using inference::priority;
using scheduler::fair_shares;
using scheduler::share_settings;

namespace {

scheduler::share_ticket enter(
    fair_shares& f, const std::string& tenant, priority p = priority::interactive) {
    auto ticket = f.enter(tenant, tenant, p, 100, 50);
    f.place(ticket);
    return ticket;
}

/// The rank of the `n`-th request of an owner that asks for them at one time.
double rank_of(fair_shares& f, const std::string& tenant, int n) {
    double rank = 0;
    for (int i = 0; i < n; ++i) rank = enter(f, tenant).rank;
    return rank;
}

}  // namespace

TEST_CASE("fair shares: one that comes later goes before the backlog of another", "[scheduler]") {
    fair_shares f{{}};
    scheduler::share_ticket last;
    for (int i = 0; i < 100; ++i) last = enter(f, "flood");
    const auto other = enter(f, "other");
    CHECK(other.rank < last.rank);
    CHECK(other.rank == enter(f, "third").rank);
}

TEST_CASE("fair shares: who was idle has saved nothing", "[scheduler]") {
    fair_shares f{{}};
    scheduler::share_ticket last;
    for (int i = 0; i < 100; ++i) {
        last = enter(f, "busy");
        f.taken(last);
    }
    CHECK(enter(f, "idle").rank == last.rank);
}

TEST_CASE("fair shares: a weight of four costs a quarter", "[scheduler]") {
    share_settings s;
    s.tenant_weights["acme"] = 4;
    fair_shares f{s};
    CHECK(rank_of(f, "acme", 33) == Approx(rank_of(f, "other", 12)));
    CHECK(rank_of(f, "acme", 1) > 0);
}

TEST_CASE("fair shares: a few at a time do not queue behind a backlog", "[scheduler]") {
    fair_shares f{{}};
    for (int i = 0; i < 100; ++i) enter(f, "flood");
    const auto next = rank_of(f, "third", 6);  // where the sixth of a backlog is served
    for (int i = 0; i < 5; ++i) CHECK(enter(f, "few").rank < next);
    CHECK(enter(f, "few").rank == Approx(next));
}

TEST_CASE("fair shares: an owner's requests stay in order when their cost is corrected") {
    fair_shares f{{}};
    std::vector<scheduler::share_ticket> tickets;
    for (int i = 0; i < 6; ++i) {
        tickets.push_back(f.enter("a", "a", priority::interactive, 100, 5000));
        f.place(tickets.back());
        f.queued(tickets.back());
        f.opened(tickets.back(), 0us);
    }
    REQUIRE(tickets.back().rank > 0);
    for (std::size_t i = 0; i < 2; ++i) {
        f.closed(tickets[i], 0us);
        f.unqueued(tickets[i]);
        f.taken(tickets[i]);
        f.ended(tickets[i], 1);  // they were expected to cost far more
    }
    CHECK(enter(f, "a").rank >= tickets.back().rank);
}

TEST_CASE("fair shares: who could not be scheduled comes back behind those now served") {
    fair_shares f{{}};
    std::vector<scheduler::share_ticket> stuck;
    for (int i = 0; i < 20; ++i) {
        stuck.push_back(f.enter("stuck", "stuck", priority::interactive, 100, 50));
    }
    scheduler::share_ticket served;
    for (int i = 0; i < 100; ++i) {
        served = enter(f, "other");
        f.taken(served);
    }
    for (auto& t : stuck) f.place(t);
    CHECK(stuck.front().rank == served.rank);
    CHECK(stuck.back().rank > enter(f, "third").rank);
    f.place(stuck.front());  // it has its place
    CHECK(stuck.front().rank == served.rank);
}

TEST_CASE("fair shares: who cannot be scheduled any more costs nothing", "[scheduler]") {
    fair_shares f{{}};
    std::vector<scheduler::share_ticket> all;
    for (int i = 0; i < 20; ++i) all.push_back(enter(f, "a"));
    for (auto& t : all) f.displace(t);
    f.displace(all.front());
    f.left(all.front());
    CHECK(enter(f, "a").rank == 0);
    CHECK(all.back().rank > 0);
    f.place(all.back());
    CHECK(all.back().rank == 0);
}

TEST_CASE("fair shares: who runs more than its share is above it", "[scheduler]") {
    fair_shares f{{}};
    const auto flood = enter(f, "flood");
    const auto other = enter(f, "other");
    const auto run = [&f](const scheduler::share_ticket& t, int times) {
        for (int i = 0; i < times; ++i) f.taken(t);
    };
    SECTION("nobody else has asked: all is its share") {
        f.queued(flood);
        run(flood, 10);
        CHECK_FALSE(flood.account->is_above);
        CHECK(f.within().running == 10);
    }
    SECTION("another waits, or runs less") {
        f.queued(other);
        f.queued(flood);
        run(flood, 10);
        CHECK(flood.account->is_above);
        CHECK(f.within().running == 0);
        CHECK(f.within().waiting == 1);
        run(other, 9);
        f.taken(flood);
        CHECK(flood.account->is_above);
        CHECK_FALSE(other.account->is_above);
        CHECK(f.within().running == 9);
    }
    SECTION("another was here a while ago") {
        using time_point = std::chrono::steady_clock::time_point;
        const time_point start{1h};
        f.pass_time(start);
        f.queued(other);
        f.unqueued(other);
        f.queued(flood);
        run(flood, 10);
        f.pass_time(start + fair_shares::stays_active - 1ms);
        f.taken(flood);
        CHECK(flood.account->is_above);
        f.pass_time(start + fair_shares::stays_active);
        f.taken(flood);
        CHECK_FALSE(flood.account->is_above);
        CHECK(f.within().running == 12);
    }
    SECTION("another was here, and what is left of the sum of weights is no more than its own") {
        const std::chrono::steady_clock::time_point start{1h};
        f.pass_time(start);
        f.queued(other);
        const auto patient = enter(f, "patient", priority::batch);  // 0.05, which is not exact
        f.queued(patient);
        f.unqueued(other);
        f.pass_time(start + fair_shares::stays_active);
        run(patient, 10);
        CHECK_FALSE(patient.account->is_above);
    }
    SECTION("its weight allows it") {
        share_settings s;
        s.tenant_weights["big"] = 9;
        fair_shares weighted{s};
        const auto big = enter(weighted, "big");
        const auto small = enter(weighted, "small");
        weighted.queued(big);
        weighted.queued(small);
        weighted.taken(small);
        for (int i = 0; i < 9; ++i) weighted.taken(big);
        CHECK_FALSE(big.account->is_above);
        weighted.taken(big);
        CHECK(big.account->is_above);
    }
}

TEST_CASE("fair shares: what an answer really cost counts", "[scheduler]") {
    fair_shares f{{}};
    const auto brief = enter(f, "brief");
    f.ended(brief, 10);
    CHECK(brief.account->finish == Approx(100 + 2 * 10));
    const auto next = enter(f, "brief");
    CHECK(next.expected_output == 10);
    const auto longer = enter(f, "long");
    f.ended(longer, 60);
    CHECK(longer.account->finish == Approx(100 + 2 * 60));
    CHECK(enter(f, "long").expected_output == 50);  // never more than it may be
}

TEST_CASE("fair shares: who leaves unserved has had nothing", "[scheduler]") {
    fair_shares f{{}};
    const auto first = enter(f, "a");
    f.left(first);
    CHECK(enter(f, "a").rank == first.rank);
}

TEST_CASE("fair shares: owners that are level with the others are forgotten", "[scheduler]") {
    fair_shares f{{}};
    for (int i = 0; i < 10'000; ++i) {
        auto t = enter(f, "tenant " + std::to_string(i));
        f.taken(t);
        f.ended(t, 50);
    }
    CHECK(f.accounts() < 3 * fair_shares::most_resting);
}
