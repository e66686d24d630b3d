// Which requests the shards hold, against a model of it, under random answers.
#include "batching/running_batch.hpp"

#include "support/random_walk.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

using namespace truffula;
using batching::running_batch;
using scheduler::request_id;
using test::action_of;
using test::expect;
using test::walk_step;

namespace {

class counting_sink final : public scheduler::sink {
public:
    explicit counting_sink(int& failed) : failed_(failed) {}
    void fail(error) override { ++failed_; }
    bool abandoned() const noexcept override { return false; }

private:
    int& failed_;
};

scheduler::batch_entry make_entry(
    request_id id, std::uint32_t input, std::uint32_t output, int& failed) {
    auto what = std::make_shared<inference::request>();
    what->input_length = input;
    what->stopping.max_new_tokens = output;
    scheduler::scheduled_entry e;
    e.what.id = id;
    e.what.what = std::move(what);
    e.what.to = std::make_shared<counting_sink>(failed);
    e.key = static_cast<adapter::adapter_key>(id % 5);
    return {std::move(e), scheduler::lease{}};
}

shard::step_answer answer_to(const std::vector<request_id>& ids, request_id finished = UINT64_MAX) {
    shard::step_answer answer;
    for (const auto id : ids) {
        shard::generation_span span;
        span.request_id = id;
        span.finished = id == finished;
        answer.spans.push_back(span);
    }
    return answer;
}

struct fixture {
    fixture() { add({1, 2, 3}); }
    void add(const std::vector<request_id>& ids, std::uint32_t output = 10) {
        std::vector<scheduler::batch_entry> joining;
        for (const auto id : ids) joining.push_back(make_entry(id, 4, output, failed));
        batch.add(std::move(joining), {});
    }
    batching::protocol_errors apply(const shard::step_answer& answer, std::size_t first = 0) {
        return batch.apply(answer, first, where);
    }
    int failed = 0;
    running_batch batch{scheduler::cost_model::plain};
    std::vector<std::size_t> where;
};

}  // namespace

TEST_CASE("running batch: spans find their requests in any order", "[batching]") {
    fixture f;
    CHECK(f.apply(answer_to({3, 1, 2})).total() == 0);
    CHECK(f.where == std::vector<std::size_t>{2, 0, 1});
    CHECK(f.batch.live() == f.batch.size());
}

TEST_CASE("running batch: a finished request leaves, the others close ranks", "[batching]") {
    fixture f;
    f.apply(answer_to({1, 2, 3}, 2));
    CHECK(f.batch.live() < f.batch.size());
    CHECK(f.batch.ids_left() == std::vector<request_id>{1, 3});
    CHECK(f.batch.remove_dropped().empty());  // the shards do not know it yet
    f.batch.mark_dropped();
    const auto gone = f.batch.remove_dropped();
    REQUIRE(gone.size() == 1);
    CHECK(gone[0]->entry().id == 2);
    CHECK_FALSE(gone[0]->failure);
    CHECK(f.batch.tokens() == 2 * 14);
    CHECK(f.apply(answer_to({1, 3})).total() == 0);
    CHECK(f.where == std::vector<std::size_t>{0, 1});
}

TEST_CASE("running batch: goes on after an answer that ends nobody", "[batching]") {
    fixture f;
    auto answer = answer_to({1, 2, 3});
    CHECK_FALSE(f.batch.goes_on_after(answer));  // the shards forgot the batch
    answer.batch.emplace().request_ids = {1, 2, 3};
    CHECK(f.batch.goes_on_after(answer));
    SECTION("one ends with it") {
        answer.spans[1].finished = true;
        CHECK_FALSE(f.batch.goes_on_after(answer));
    }
    SECTION("a client has left, of which the shards do not know") {
        f.batch.leave(2);
        CHECK_FALSE(f.batch.goes_on_after(answer));
    }
    SECTION("the shards know of fewer") {
        answer.batch->request_ids = {1, 3};
        CHECK_FALSE(f.batch.goes_on_after(answer));
    }
}

TEST_CASE("running batch: who was never asked for is nobody", "[batching]") {
    fixture f;
    const auto wrong = f.apply(answer_to({1, 2, 3, 4}));
    CHECK(wrong.unknown_request == 1);
    CHECK(wrong.total() == 1);
    CHECK(f.where.back() == running_batch::nobody);
}

TEST_CASE("running batch: answered twice, or not at all, ends the request", "[batching]") {
    fixture f;
    const auto wrong = f.apply(answer_to({1, 1, 3}));
    CHECK(wrong.answered_twice == 1);
    CHECK(wrong.not_answered == 1);
    CHECK(f.where == std::vector<std::size_t>{0, running_batch::nobody, 2});
    f.batch.mark_dropped();
    for (const auto& r : f.batch.remove_dropped()) {
        REQUIRE(r->failure);
        CHECK(r->failure->code == errc::protocol);
    }
    CHECK(f.batch.ids_left() == std::vector<request_id>{3});
}

TEST_CASE("running batch: a joining batch is answered alone", "[batching]") {
    fixture f;
    f.add({4, 5});
    const auto wrong = f.apply(answer_to({4, 5, 1}), 3);
    CHECK(wrong.unknown_request == 1);  // 1 was not in that call
    CHECK(wrong.not_answered == 0);
    CHECK(f.batch.ids_left(3) == std::vector<request_id>{4, 5});
}

TEST_CASE("running batch: steps past max_new_tokens end the request", "[batching]") {
    fixture f;
    for (int step = 1; step < 10; ++step) REQUIRE(f.apply(answer_to({1, 2, 3})).total() == 0);
    // The tenth has to finish.
    const auto wrong = f.apply(answer_to({1, 2, 3}, 1));
    CHECK(wrong.too_many_steps == 2);
    CHECK(f.batch.live() == 0);
}

TEST_CASE("running batch: a client that left ends its request once", "[batching]") {
    fixture f;
    CHECK(f.batch.leave(2));
    CHECK(f.batch.leave(2));
    CHECK_FALSE(f.batch.leave(9));
    CHECK(f.batch.live() == 2);
    f.apply(answer_to({1, 2, 3}, 2));
    f.batch.mark_dropped();
    CHECK(f.batch.remove_dropped().size() == 1);
    CHECK(f.batch.live() == 2);
}

TEST_CASE(
    "running batch: who leaves after the shards were told stays till the next time", "[batching]") {
    fixture f;
    f.batch.leave(1);
    f.batch.mark_dropped();
    f.batch.leave(2);
    CHECK(f.batch.remove_dropped().size() == 1);
    CHECK(f.batch.size() == 2);
    CHECK(f.batch.tokens() == 2 * 14);  // its tokens and its adapter are in use
    CHECK(f.batch.adapters().size() == 2);
    CHECK(f.batch.ids_left() == std::vector<request_id>{3});
    CHECK(f.apply(answer_to({2, 3})).total() == 0);
    f.batch.mark_dropped();
    CHECK(f.batch.remove_dropped().size() == 1);
    CHECK(f.batch.size() == 1);
}

TEST_CASE("running batch: a joining batch is dropped from alone", "[batching]") {
    fixture f;
    f.add({4});
    f.batch.leave(1);
    f.batch.leave(4);
    f.batch.mark_dropped(3);
    const auto gone = f.batch.remove_dropped();
    REQUIRE(gone.size() == 1);
    CHECK(gone[0]->entry().id == 4);
}

TEST_CASE("running batch: whoever is dropped without an answer is told", "[batching]") {
    fixture f;
    {
        const auto gone = f.batch.remove_from(1);
        CHECK(gone.size() == 2);
        gone[0]->owned.is_answered = true;
    }
    CHECK(f.failed == 1);
    CHECK(f.batch.size() == 1);
}

namespace {

/// A request as the model has it.
struct modelled {
    request_id id;
    std::uint32_t input;
    std::uint32_t output;
    std::uint32_t steps = 0;
    bool has_ended = false;
    bool has_failed = false;
    bool is_dropped = false;
};

/// How many errors that is.
std::uint32_t fail(modelled& m) {
    m.has_ended = true;
    return std::exchange(m.has_failed, true) ? 0 : 1;
}

class batch_world {
public:
    explicit batch_world(std::uint64_t seed)
        : model_(static_cast<scheduler::cost_model>(seed % 2)), batch_(model_) {}

    static std::string name(const walk_step& s) { return action_of(actions(), s).name; }

    void take(const walk_step& s) {
        action_of(actions(), s).take(*this, s);
        check();
    }
    void finish() {}

private:
    static std::span<const test::walk_action<batch_world>> actions() {
        using world = batch_world;
        using step = const walk_step&;
        static constexpr test::walk_action<world> all[] = {
            {"join", 1, [](world& w, step s) { w.join(s); }},
            {"answer", 3, [](world& w, step s) { w.answer(s); }},
            {"leave", 1, [](world& w, step s) { w.leave(s); }},
            {"remove dropped", 1, [](world& w, step) { w.remove_dropped(); }},
            {"mark dropped", 1, [](world& w, step s) { w.mark_dropped(s); }},
            {"remove from", 1, [](world& w, step s) { w.remove_from(s); }},
        };
        return all;
    }

    void join(const walk_step& s) {
        std::vector<scheduler::batch_entry> joining;
        for (auto n = 1 + s.a % 3; n > 0; --n) {
            modelled m{};
            m.id = next_id_++;
            m.input = 1 + s.b % 20;
            m.output = 1 + s.c % 6;
            joining.push_back(make_entry(m.id, m.input, m.output, failed_));
            requests_.push_back(m);
        }
        batch_.add(std::move(joining), {});
    }

    /// Each request of the call is answered, mostly once, in the shards' order.
    void answer(const walk_step& s) {
        const auto first = s.a % 4 == 0 && !requests_.empty() ? s.b % requests_.size() : 0;
        std::vector<request_id> ids;
        for (auto i = first; i < requests_.size(); ++i) ids.push_back(requests_[i].id);
        if (!ids.empty() && s.b % 5 == 0) ids.erase(ids.begin() + s.c % ids.size());
        if (!ids.empty() && s.b % 7 == 0) ids.push_back(ids[s.c % ids.size()]);
        if (s.b % 11 == 0) ids.push_back(next_id_ + 5);
        if (!ids.empty()) std::rotate(ids.begin(), ids.begin() + s.c % ids.size(), ids.end());
        const auto finished = ids.empty() || s.c % 3 != 0 ? UINT64_MAX : ids[s.c % ids.size()];

        batching::protocol_errors want;
        std::map<request_id, int> seen;
        for (const auto id : ids) {
            const auto at = std::ranges::find(requests_, id, &modelled::id);
            if (at == requests_.end() || at - requests_.begin() < static_cast<int>(first)) {
                ++want.unknown_request;
                continue;
            }
            if (++seen[id] > 1) {
                want.answered_twice += fail(*at);
                continue;
            }
            ++at->steps;
            if (id == finished) {
                at->has_ended = true;
            } else if (at->steps >= at->output) {
                want.too_many_steps += fail(*at);
            }
        }
        for (auto i = first; i < requests_.size(); ++i) {
            if (seen.contains(requests_[i].id)) continue;
            want.not_answered += fail(requests_[i]);
        }
        std::vector<std::size_t> where;
        const auto got = batch_.apply(answer_to(ids, finished), first, where);
        expect(got.unknown_request == want.unknown_request, "unknown requests");
        expect(got.answered_twice == want.answered_twice, "answered twice");
        expect(got.not_answered == want.not_answered, "not answered");
        expect(got.too_many_steps == want.too_many_steps, "too many steps");
        for (std::size_t i = 0; i < where.size(); ++i) {
            if (where[i] == running_batch::nobody) continue;
            expect(requests_[where[i]].id == ids[i], "a span went to somebody else");
        }
    }

    void leave(const walk_step& s) {
        const auto id = next_id_ == 0 ? 0 : s.a % (next_id_ + 1);
        const auto at = std::ranges::find(requests_, id, &modelled::id);
        expect(batch_.leave(id) == (at != requests_.end()), "who is here");
        if (at != requests_.end()) at->has_ended = true;
    }

    void mark_dropped(const walk_step& s) {
        const auto first = requests_.empty() ? 0 : s.a % requests_.size();
        batch_.mark_dropped(first);
        for (auto i = first; i < requests_.size(); ++i) {
            requests_[i].is_dropped = requests_[i].has_ended;
        }
    }
    void remove_dropped() {
        answer_all(batch_.remove_dropped(), [](const modelled& m) { return m.is_dropped; });
    }
    void remove_from(const walk_step& s) {
        const auto first = requests_.empty() ? 0 : s.a % requests_.size();
        const auto limit = first < requests_.size() ? requests_[first].id : next_id_;
        answer_all(batch_.remove_from(first), [limit](const modelled& m) { return m.id >= limit; });
    }

    template <class Leaves>
    void answer_all(
        const std::vector<std::unique_ptr<batching::running_request>>& gone, Leaves leaves) {
        std::size_t at = 0;
        for (const auto& m : requests_) {
            if (!leaves(m)) continue;
            expect(at < gone.size() && gone[at]->entry().id == m.id, "another request was removed");
            gone[at++]->owned.is_answered = true;
        }
        expect(at == gone.size(), "too many were removed");
        std::erase_if(requests_, leaves);
    }

    void check() {
        expect(batch_.size() == requests_.size(), "size");
        scheduler::batch_cost cost{model_};
        std::vector<request_id> left;
        std::set<adapter::adapter_key> keys;
        for (std::size_t i = 0; i < requests_.size(); ++i) {
            const auto& m = requests_[i];
            expect(batch_.at(i).entry().id == m.id, "order");
            expect(batch_.at(i).has_ended == m.has_ended, "who has ended");
            expect(batch_.at(i).is_dropped == m.is_dropped, "who was dropped");
            cost.add(m.input, m.output);
            keys.insert(static_cast<adapter::adapter_key>(m.id % 5));
            if (!m.has_ended) left.push_back(m.id);
        }
        expect(batch_.live() == left.size(), "the live ones");
        expect(batch_.ids_left() == left, "the ids that are left");
        expect(batch_.tokens() == cost.total(), "tokens");
        expect(std::ranges::equal(batch_.adapters(), keys), "adapters");
        expect(failed_ == 0, "somebody was dropped without an answer");
    }

    scheduler::cost_model model_;
    int failed_ = 0;
    running_batch batch_;
    std::vector<modelled> requests_;
    request_id next_id_ = 0;
};

}  // namespace

TEST_CASE("running batch: is what its model says after any steps", "[batching][property]") {
    test::random_walks<batch_world>("running_batch", {.walks = 500, .steps = 400});
}
