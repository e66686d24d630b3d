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
    CHECK(enter(f, "idle").rank == enter(f, "busy").rank);
}

TEST_CASE("fair shares: a weight of four costs a quarter", "[scheduler]") {
    share_settings s;
    s.tenant_weights["acme"] = 4;
    fair_shares f{s};
    scheduler::share_ticket acme;
    for (int i = 0; i < 4; ++i) acme = enter(f, "acme");
    CHECK(acme.rank == Approx(enter(f, "other").rank));
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
    CHECK(f.accounts() < 200);
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
    CHECK(acme >= 78);
    CHECK(acme <= 82);
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
