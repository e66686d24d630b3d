#include "truffula/scheduler/fair_shares.hpp"

#include "support/scheduler_world.hpp"

#include <catch2/catch.hpp>

#include <map>

using namespace truffula;
using namespace std::chrono_literals;
using inference::priority;
using scheduler::fair_shares;
using scheduler::share_settings;
using test::scheduler_world;

namespace {

scheduler::share_ticket enter(
    fair_shares& f, const std::string& tenant, priority p = priority::interactive) {
    return f.enter(tenant, tenant, p, 100, 50);
}

scheduler::scheduler_settings fair(std::map<std::string, double> weights = {}) {
    scheduler::scheduler_settings s;
    s.is_fair = true;
    s.shares.tenant_weights = std::move(weights);
    return s;
}

scheduler::request_id submit(
    scheduler_world& w,
    const std::string& tenant,
    const std::string& adapter = {},
    priority p = priority::interactive) {
    const auto id = w.next_id++;
    auto e = w.make(id, {adapter, 10, 10});
    auto ref = std::make_shared<adapter::adapter_ref>(*e.adapter);
    ref->tenant = tenant;
    e.adapter = std::move(ref);
    auto what = std::make_shared<inference::request>(*e.what);
    what->priority = p;
    e.what = std::move(what);
    w.state.submit(std::move(e), w.now);
    w.drain();
    return id;
}

}  // namespace

namespace {

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
        f.queued(tickets.back());
    }
    REQUIRE(tickets.back().rank > 0);
    for (int i = 0; i < 2; ++i) {
        f.unqueued(tickets[i]);
        f.taken(tickets[i]);
        f.ended(tickets[i], 1);  // they were expected to cost far more
    }
    CHECK(enter(f, "a").rank >= tickets.back().rank);
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

TEST_CASE("fair: the last places are kept from who runs more than its share", "[scheduler]") {
    auto settings = fair();
    settings.max_batch_size = 32;
    scheduler_world w{scheduler_world::limits(100'000, 100'000), std::move(settings)};
    scheduler::request_id last = 0;
    for (int i = 0; i < 100; ++i) last = submit(w, "flood");
    const auto light = submit(w, "other");
    const auto first = w.next({}, 100'000, 100'000);
    CHECK(first.size() == 30);  // of 32 a sixteenth is kept
    CHECK(std::count(first.begin(), first.end(), light) == 1);
    CHECK(w.next({}, 100'000, 100'000).empty());
    CHECK(name_of(*w.state.why_waiting(last)) == "share");
    const auto second = submit(w, "other");
    const auto third = submit(w, "other");
    CHECK(w.next({}, 100'000, 100'000) == std::vector<scheduler::request_id>{second, third});
}

TEST_CASE("fair: a lone tenant gets all places", "[scheduler]") {
    auto settings = fair();
    settings.max_batch_size = 32;
    scheduler_world w{scheduler_world::limits(100'000, 100'000), std::move(settings)};
    for (int i = 0; i < 100; ++i) submit(w, "flood");
    CHECK(w.next({}, 100'000, 100'000).size() == 32);
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

TEST_CASE("fair: a tenant that floods does not hold up another", "[scheduler]") {
    scheduler_world w{scheduler_world::limits(), fair()};
    for (int i = 0; i < 1000; ++i) submit(w, "flood");
    w.next({}, 100);  // ten of them
    const auto other = submit(w, "other");
    const auto batch = w.next({}, 20);
    CHECK(std::count(batch.begin(), batch.end(), other) == 1);
}

TEST_CASE("fair: it holds for those who flood through many adapters, too", "[scheduler]") {
    scheduler_world w{scheduler_world::limits(), fair()};
    for (int i = 0; i < 60; ++i) submit(w, "flood", "a" + std::to_string(i));
    submit(w, "other", "b");
    w.run_calls();
    w.next({}, 100);
    const auto other = submit(w, "other", "b");
    const auto batch = w.next({}, 20);
    CHECK(std::count(batch.begin(), batch.end(), other) == 1);
}

TEST_CASE("fair: without a tenant's name adapters have the shares", "[scheduler]") {
    scheduler_world w{scheduler_world::limits(), fair()};
    for (int i = 0; i < 100; ++i) submit(w, "default", "a");
    submit(w, "default", "b");
    w.run_calls();
    w.next({}, 100);
    const auto other = submit(w, "default", "b");
    const auto batch = w.next({}, 20);
    CHECK(std::count(batch.begin(), batch.end(), other) == 1);
}

TEST_CASE("fair: tenants get shares by their weights", "[scheduler]") {
    scheduler_world w{scheduler_world::limits(), fair({{"acme", 4}})};
    std::map<scheduler::request_id, std::string> tenant;
    for (int i = 0; i < 200; ++i) {
        for (const auto* name : {"acme", "other"}) tenant[submit(w, name)] = name;
    }
    int acme = 0;
    for (int i = 0; i < 10; ++i) {
        for (const auto id : w.next({}, 100)) acme += tenant[id] == "acme" ? 1 : 0;
        w.end_all();
    }
    CHECK(acme >= 76);  // 80, but for what each has in advance
    CHECK(acme <= 84);
}

TEST_CASE("fair: requests of one tenant and adapter leave in arrival order", "[scheduler]") {
    scheduler_world w{scheduler_world::limits(), fair()};
    std::vector<scheduler::request_id> sent;
    for (int i = 0; i < 20; ++i) sent.push_back(submit(w, "a"));
    CHECK(w.next() == sent);
}

TEST_CASE("fair: interactive requests go before a backlog of batch ones", "[scheduler]") {
    scheduler_world w{scheduler_world::limits(), fair()};
    for (int i = 0; i < 50; ++i) submit(w, "a", {}, priority::batch);
    const auto first = submit(w, "a");
    const auto second = submit(w, "b");
    const auto batch = w.next({}, 20);
    CHECK(batch == std::vector<scheduler::request_id>{first, second});
}

TEST_CASE("fair: batch requests are served while interactive ones never end", "[scheduler]") {
    scheduler_world w{scheduler_world::limits(), fair()};
    const auto patient = submit(w, "a", {}, priority::batch);
    int rounds = 0;
    for (bool is_served = false; !is_served; ++rounds) {
        REQUIRE(rounds < 50);
        submit(w, "a");
        submit(w, "b");
        const auto batch = w.next({}, 10);  // one at a time
        is_served = !batch.empty() && batch.front() == patient;
        w.end_all();
    }
    CHECK(rounds > 10);
}

TEST_CASE("fair: who runs more than its share does not hold up another's join", "[scheduler]") {
    auto settings = fair();
    settings.max_batch_size = 32;
    scheduler_world w{scheduler_world::limits(100'000, 100'000), std::move(settings)};
    for (int i = 0; i < 100; ++i) submit(w, "flood");
    submit(w, "other");
    w.next({}, 100'000, 100'000);
    scheduler::join_terms terms;
    terms.weigh = {w.running.size(), 10ms, 0ms, 1.0F};
    const auto light = submit(w, "other");
    // Its one running request loses 10 ms; the 29 of the flood do not count.
    w.now += 9ms;
    CHECK(w.next(terms, 100'000, 100'000).empty());
    w.now += 1ms;
    CHECK(w.next(terms, 100'000, 100'000) == std::vector<scheduler::request_id>{light});
}
