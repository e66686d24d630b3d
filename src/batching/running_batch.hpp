#pragma once

#include "truffula/error/error.hpp"
#include "truffula/scheduler/adapter_scheduler.hpp"
#include "truffula/scheduler/batch_cost.hpp"
#include "truffula/shard/answers.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

namespace truffula::batching {

using scheduler::request_id;

/// A request that the shards hold.
struct running_request {
    running_request(scheduler::batch_entry e, scheduler::time_point t)
        : owned(std::move(e)), batched(t) {}

    scheduler::batch_entry owned;
    scheduler::time_point batched;
    bool is_confirmed = false;     ///< A token has proven that its prompt was computed.
    bool was_delivered = false;    ///< Its first step went to its client's thread.
    bool has_emitted = false;      ///< A token went out that cannot be taken back.
    bool has_ended = false;        ///< Finished, failed, or its client left.
    bool is_dropped = false;       ///< And the shards have been told, or knew it before us.
    std::optional<error> failure;  ///< Why, when it failed.

    const scheduler::entry& entry() const { return owned.what.what; }
};

/// How the shards' answers broke the protocol, for the metric.
struct protocol_errors {
    std::uint32_t unknown_request = 0;
    std::uint32_t answered_twice = 0;
    std::uint32_t not_answered = 0;
    std::uint32_t too_many_steps = 0;

    std::uint32_t total() const {
        return unknown_request + answered_twice + not_answered + too_many_steps;
    }
};

/// Which requests the shards hold, and what their answers do to them. Pure.
///
/// `apply` stands in the gap between an answer and the next step: it touches no request but those
/// that end, only lists that lie side by side.
class running_batch {
public:
    explicit running_batch(scheduler::cost_model model) : cost_(model) {}

    /// Requests of a Prefill that is about to be answered.
    void add(std::vector<scheduler::batch_entry> joining, scheduler::time_point now);

    /// An answer to a call that named the requests `first` … end (a joining batch is at the end;
    /// Decode: 0). Fills `where`: the request of each span, or `nobody`.
    protocol_errors apply(
        const shard::step_answer& answer, std::size_t first, std::vector<std::size_t>& where);
    static constexpr std::size_t nobody = SIZE_MAX;

    /// The client of `id` left. False if it is not here.
    bool leave(request_id id);

    /// Ends a request with an error. How many errors that is: none if it had failed before, of
    /// which shards may not be told before their next step.
    std::uint32_t fail(std::size_t at, error why);

    /// Whether the same requests run on after `answer`, and no others: none of them has ended, nor
    /// ends with it.
    bool goes_on_after(const shard::step_answer& answer) const;

    /// How many requests go on, and their ids, from `first` on.
    std::size_t live_from(std::size_t first) const;
    std::vector<request_id> ids_left(std::size_t first = 0) const;

    /// The shards are about to hold only `ids_left(first)` of those from `first` on. Who ends later
    /// stays till the next time: the shards still write its blocks and use its adapter.
    void mark_dropped(std::size_t first = 0);

    /// Takes out all that the shards have dropped; what they held is free when the result is
    /// destroyed.
    std::vector<std::unique_ptr<running_request>> remove_dropped();

    /// Takes out everything from `first` on.
    std::vector<std::unique_ptr<running_request>> remove_from(std::size_t first);

    std::vector<adapter::adapter_key> adapters() const;
    std::uint64_t tokens() const { return cost_.total(); }
    scheduler::cost_model model() const { return cost_.model(); }
    std::size_t size() const { return requests_.size(); }
    std::size_t live() const { return requests_.size() - ended_; }
    running_request& at(std::size_t i) { return *requests_[i]; }

private:
    std::size_t find(request_id id, std::size_t hint) const;
    std::uint32_t note_part(std::size_t at);
    void end(std::size_t at);
    void forget(std::size_t at);

    scheduler::batch_cost cost_;
    std::vector<std::unique_ptr<running_request>> requests_;
    std::vector<request_id> ids_;            // of requests_: scanned in the gap
    std::vector<std::uint64_t> stamps_;      // of requests_: the call that last answered it
    std::vector<std::uint32_t> steps_left_;  // of requests_: answers that it may still get
    std::vector<std::uint32_t> parts_left_;  // of requests_: and those without a token before them
    std::unordered_map<request_id, std::size_t> index_;
    std::uint64_t call_ = 0;
    std::size_t ended_ = 0;
};

}  // namespace truffula::batching
