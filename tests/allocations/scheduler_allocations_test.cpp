// What the scheduler allocates once its queues and tables have the size they need (rule 7 of design
// section 5): entries' own storage, and nothing else.
#include "allocations/counted_new.hpp"
#include "truffula/scheduler/scheduler_state.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace truffula;
using namespace std::chrono_literals;
using scheduler::cost_model;
using test::allocations_in;

namespace {

constexpr std::uint32_t input_tokens = 40;
constexpr std::uint32_t new_tokens = 24;
constexpr std::uint32_t token_budget = 1000;
constexpr std::size_t adapters = 6;  // the first is the base model
constexpr std::size_t backlog = 100;

struct setting {
    bool is_fair = false;
    cost_model model = cost_model::plain;
    bool prefix_caching = false;

    /// Of a prompt that is in the cache one token is left to compute.
    std::uint32_t prefill_budget() const {
        return prefix_caching ? input_tokens : 8 * input_tokens;
    }
};

class silent_sink final : public scheduler::sink {
public:
    void fail(error why) override { throw std::runtime_error(why.detail); }
    bool abandoned() const noexcept override { return false; }
};

scheduler::scheduler_settings settings_of(const setting& s) {
    scheduler::scheduler_settings to;
    to.is_fair = s.is_fair;
    to.adapters.shares_slots = s.is_fair;
    to.prefix_caching = s.prefix_caching;
    // Those that do not fit are looked past for ever: this is to be the steady state.
    to.max_overtakes = 1'000'000;
    to.max_overtake_wait = 1h;
    return to;
}

scheduler::shard_limits limits_of(const setting& s) {
    scheduler::shard_limits l;
    l.model = s.model;
    l.prefill_token_budget = s.prefill_budget();
    l.total_token_budget = 20'000;
    l.block_size = s.prefix_caching ? 1 : 16;
    return l;
}

/// Requests for several adapters that come as fast as others are served.
class steady_line {
public:
    explicit steady_line(const setting& s)
        : state_(settings_of(s), limits_of(s)), prefill_budget_(s.prefill_budget()) {
        for (std::size_t i = 0; i < adapters; ++i) {
            auto ref = std::make_shared<adapter::adapter_ref>();
            if (i > 0) ref->what.ids = {"organisation/adapter-" + std::to_string(i)};
            ref->from = adapter::source::local;
            ref->tenant = "a tenant with a long name, number " + std::to_string(i % 3);
            refs_.push_back(std::move(ref));
        }
        for (std::size_t i = 0; i < backlog; ++i) submit(i % adapters);
        for (auto calls = state_.due(now_, 100); !calls.empty(); calls = state_.due(now_, 100)) {
            for (const auto& c : calls) state_.finished(c.id, adapter::memory_share{1000}, now_);
        }
    }

    /// A batch joins, the one before it ends, and as many requests come.
    void round() {
        now_ += 20ms;
        in_use_.clear();
        for (const auto& r : running_) in_use_.push_back(r.key);
        in_next_batch = allocations_in(
            [&] { joined_ = state_.next_batch(in_use_, {}, prefill_budget_, token_budget, now_); });
        blocks = 0;
        for (auto& j : joined_) {
            if (!j.blocks) continue;
            ++blocks;
            j.blocks->confirm(j.what.what->input_ids);
        }
        taken = joined_.size();
        in_ended = allocations_in([&] {
            for (const auto& r : running_) {
                state_.ended(input_tokens, new_tokens, r.what.share, new_tokens);
            }
        });
        std::swap(running_, joined_);
        joined_.clear();
        in_submit = 0;
        for (const auto& r : running_) submit(r.key);  // keys were given in this order
        in_empty_handed = allocations_in([&] {
            none_ = state_.next_batch(in_use_, nobody_, prefill_budget_, token_budget, now_);
        });
        REQUIRE(none_.empty());
        REQUIRE(state_.take_failed().empty());
    }

    /// One that no batch of these rounds has room for.
    void submit_large(std::size_t adapter) {
        auto what = std::make_shared<inference::request>(*what_);
        what->stopping.max_new_tokens = 15'000;
        submit(adapter, what);
    }

    // Of the last round.
    std::size_t taken = 0;
    std::size_t blocks = 0;  ///< Requests that were given some.
    std::size_t in_next_batch = 0;
    std::size_t in_empty_handed = 0;  ///< In one that took nothing.
    std::size_t in_ended = 0;
    std::size_t in_submit = 0;

private:
    void submit(std::size_t adapter, std::shared_ptr<const inference::request> what = nullptr) {
        scheduler::entry e;
        e.id = next_id_++;
        e.what = what ? std::move(what) : what_;
        e.adapter = refs_[adapter];
        e.to = sink_;
        e.created = now_;
        in_submit += allocations_in([&] { state_.submit(std::move(e), now_); });
    }

    static std::shared_ptr<const inference::request> make_request() {
        auto r = std::make_shared<inference::request>();
        r->input_length = input_tokens;
        for (std::uint32_t i = 0; i < input_tokens; ++i) r->input_ids.push_back(i);
        r->stopping.max_new_tokens = new_tokens;
        return r;
    }

    scheduler::scheduler_state state_;
    std::uint32_t prefill_budget_;
    std::vector<std::shared_ptr<const adapter::adapter_ref>> refs_;
    std::shared_ptr<const inference::request> what_ = make_request();
    std::shared_ptr<silent_sink> sink_ = std::make_shared<silent_sink>();
    scheduler::join_terms nobody_{std::size_t{1'000'000}};
    scheduler::time_point now_{1h};
    scheduler::request_id next_id_ = 0;
    std::vector<adapter::adapter_key> in_use_;
    std::vector<scheduler::scheduled_entry> joined_;
    std::vector<scheduler::scheduled_entry> running_;
    std::vector<scheduler::scheduled_entry> none_;
};

void check_rounds(const setting& s, steady_line& line) {
    for (int i = 0; i < 500; ++i) line.round();
    // A list of the new batch's different lengths, of which there is one.
    const std::size_t lengths = s.model == cost_model::padded ? 1 : 0;
    for (int i = 0; i < 500; ++i) {
        line.round();
        REQUIRE(line.taken >= 4);
        // The list that is given to the caller, and each request's list of blocks.
        REQUIRE(line.in_next_batch == 1 + line.blocks + lengths);
        REQUIRE(line.in_empty_handed == 0);
        REQUIRE(line.in_ended == 0);
        // Its place in the queue of its adapter, and where it is found by its number.
        REQUIRE(line.in_submit == 2 * line.taken);
    }
}

}  // namespace

TEST_CASE("scheduler allocations: none but the entries' own, in a steady state", "[scheduler]") {
    setting s;
    s.is_fair = GENERATE(false, true);
    CAPTURE(s.is_fair);
    SECTION("tokens counted") {}
    SECTION("padded") {
        s.model = cost_model::padded;
    }
    SECTION("blocks") {
        s.model = cost_model::blocks;
    }
    SECTION("blocks that are shared") {
        s.model = cost_model::blocks;
        s.prefix_caching = true;
    }
    steady_line line{s};
    check_rounds(s, line);
}

TEST_CASE("scheduler allocations: nor to look past what does not fit", "[scheduler]") {
    setting s;
    s.is_fair = GENERATE(false, true);
    CAPTURE(s.is_fair);
    steady_line line{s};
    line.submit_large(1);
    line.submit_large(2);
    check_rounds(s, line);
}
