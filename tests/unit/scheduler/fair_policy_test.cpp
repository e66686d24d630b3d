// Policy `fair`: what the shares of tenants mean for who joins a batch, and when.
#include "support/scheduler_world.hpp"
#include "truffula/scheduler/scheduler_state.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <string>

using namespace truffula;
using namespace std::chrono_literals;
using inference::priority;
using test::scheduler_world;
using ids = std::vector<scheduler::request_id>;

namespace {

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

TEST_CASE("fair: who waited for a proof is gone when its request has ended", "[scheduler]") {
    auto settings = fair();
    settings.max_batch_size = 32;
    scheduler_world w{scheduler_world::limits(100'000, 100'000), std::move(settings)};
    test::asked private_one;
    private_one.adapter = "a";
    private_one.from = adapter::source::hub;
    private_one.token = "secret";
    private_one.tenant = "past";
    const auto id = w.submit(private_one);
    REQUIRE(name_of(*w.state.why_waiting(id)) == "downloading");
    w.run_calls();
    REQUIRE(w.next({}, 100'000, 100'000) == ids{id});
    const auto share = w.running.front().what.share;
    w.running.clear();
    w.state.ended(private_one.input, private_one.output, share, private_one.output);
    w.now += scheduler::fair_shares::stays_active;
    for (int i = 0; i < 100; ++i) submit(w, "flood");
    CHECK(w.next({}, 100'000, 100'000).size() == 32);  // alone by now: all places are its share
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

TEST_CASE("fair: who is above its share is looked past, and not overtaken", "[scheduler]") {
    auto settings = fair();
    settings.max_batch_size = 32;
    settings.max_overtakes = 1;
    scheduler_world w{scheduler_world::limits(100'000, 100'000), std::move(settings)};
    for (int i = 0; i < 100; ++i) submit(w, "flood", "a");
    ids patient;
    for (int i = 0; i < 2; ++i) patient.push_back(submit(w, "other", "b", priority::batch));
    w.run_calls();
    const auto first = w.next({}, 100'000, 100'000);
    // The second one stands behind the flood's head, which leaves the last two places.
    CHECK(first.size() == 31);
    CHECK(std::ranges::count(first, patient[1]) == 1);
    // That one was passed by more than may pass one that does not fit.
    const auto newcomer = submit(w, "third");
    CHECK(w.next({}, 100'000, 100'000) == ids{newcomer});
}

TEST_CASE("fair: requests take their places when their adapter is ready", "[scheduler]") {
    scheduler_world w{scheduler_world::limits(100'000, 100'000), fair()};
    ids stuck;
    for (int i = 0; i < 20; ++i) stuck.push_back(submit(w, "stuck", "a"));
    for (int i = 0; i < 50; ++i) submit(w, "busy");
    w.next({}, 100'000, 100'000);
    w.run_calls();
    const auto newcomer = submit(w, "third");
    const auto batch = w.next({}, 100'000, 100'000);
    REQUIRE(batch.size() == 21);
    CHECK(std::ranges::find(batch, newcomer) < std::ranges::find(batch, stuck.back()));
    stuck.push_back(newcomer);
    CHECK(std::ranges::is_permutation(batch, stuck));
}

TEST_CASE("fair: requests that get their proof leave in arrival order", "[scheduler]") {
    scheduler_world w{scheduler_world::limits(100'000, 100'000), fair()};
    const auto ask = [&](const std::string& token) {
        return w.submit({"a", 5000, 10, token, adapter::source::hub, {}, {}, "acme"});
    };
    ask("first");
    w.run_calls();
    w.next({}, 100'000, 100'000);
    w.end_all();
    for (int i = 0; i < 6; ++i) w.submit({"", 10, 5000, {}, {}, {}, {}, "acme"});
    ids all{ask("second")};
    w.next({}, 100'000, 100'000);
    for (const auto& r : w.running) w.state.ended(10, 5000, r.what.share, 1);
    w.running.clear();
    // Their owner has had less than it seemed: they would stand before the first.
    for (int i = 0; i < 6; ++i) all.push_back(ask("second"));
    w.run_calls();
    CHECK(w.next({}, 100'000, 100'000) == all);
}

TEST_CASE("fair: who waits alone is not held up by what others run", "[scheduler]") {
    auto settings = fair();
    settings.max_batch_size = 64;
    scheduler_world w{scheduler_world::limits(100'000, 100'000), std::move(settings)};
    for (int i = 0; i < 29; ++i) submit(w, "flood");
    submit(w, "other");
    REQUIRE(w.next({}, 100'000, 100'000).size() == 30);
    scheduler::join_terms terms;
    terms.weigh = {w.running.size(), 10ms, 0ms, 1.0F};
    const auto alone = submit(w, "other");
    w.now += 9ms;
    CHECK(w.next(terms, 100'000, 100'000).empty());
    w.now += 1ms;
    CHECK(w.next(terms, 100'000, 100'000) == ids{alone});
}

TEST_CASE("fair: what was given back does not count as running", "[scheduler]") {
    scheduler_world w{scheduler_world::limits(100'000, 100'000), fair()};
    for (int i = 0; i < 29; ++i) submit(w, "flood");
    const auto first = submit(w, "other");
    REQUIRE(w.next({}, 100'000, 100'000).size() == 30);
    const auto leave = [&w](scheduler::request_id id) {
        const auto at = std::ranges::find(
            w.running, id, [](const scheduler::scheduled_entry& r) { return r.what.id; });
        auto gone = std::move(at->what);
        w.running.erase(at);
        return gone;
    };
    w.state.ended(10, 10, leave(first).share, 10);
    for (int i = 0; i < 3; ++i) submit(w, "other");
    for (const auto id : w.next({}, 100'000, 100'000)) {
        std::vector<scheduler::entry> back;
        back.push_back(leave(id));
        w.state.give_back(std::move(back), w.now);
        w.state.cancel(id);
    }
    scheduler::join_terms terms;
    terms.weigh = {29, 10ms, 0ms, 1.0F};
    const auto alone = submit(w, "other");  // nobody of its tenant runs: nobody is stalled
    CHECK(w.next(terms, 100'000, 100'000) == ids{alone});
}

TEST_CASE("fair: one overtaken too often stays so when its adapter comes back", "[scheduler]") {
    auto settings = fair();
    settings.max_overtakes = 2;
    const auto limits = scheduler_world::limits();
    scheduler_world w{limits, std::move(settings)};
    w.submit({"", 100, 2000, {}, {}, {}, {}, "busy"});
    w.next();
    const auto large = w.submit({"a", 100, 2900, {}, {}, {}, {}, "large"});
    w.run_calls();
    for (int i = 0; i < 2; ++i) {
        const auto small = submit(w, "small-" + std::to_string(i));
        REQUIRE(w.next({}, 1000, 1900) == ids{small});
    }
    submit(w, "third");
    CHECK(w.next({}, 1000, 1800).empty());
    w.state.shards_changed(limits, w.now);
    w.run_calls();
    CHECK(w.next({}, 1000, 1800).empty());
    CHECK(*w.state.why_waiting(large) == scheduler::wait_reason::total_budget);
}

TEST_CASE("fair: who takes its requests back has not used its share", "[scheduler]") {
    scheduler_world w{scheduler_world::limits(), fair()};
    for (int i = 0; i < 100; ++i) w.state.cancel(submit(w, "a"));
    const auto first = submit(w, "a");
    submit(w, "b");
    CHECK(w.next({}, 10) == ids{first});
}
