#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace truffula::scheduler {

using std::chrono::steady_clock;

struct join_settings {
    /// Smallest joining batch, as share of the running one; none: waits are weighed (`auto`).
    std::optional<float> waiting_served_ratio;
    std::size_t max_waiting_tokens = 20;  ///< Decode steps after which any size may join.
    /// `auto`: what a second of a waiting request counts against one of a running request.
    float ttft_weight = 8.0F;
};

/// What the scheduler knows of those who wait when it is asked for a joining batch.
struct waiting_now {
    std::size_t count = 0;                 ///< Requests that may be scheduled.
    steady_clock::duration waited{};       ///< Of all of them together, since they may be.
    std::size_t blocked = 0;               ///< Requests that wait for an adapter.
    std::size_t slots = 0;                 ///< Of adapters, that are taken.
    std::size_t idle_slots = 0;            ///< Of these, whose adapter waits to be run with.
    steady_clock::duration slots_idle{};   ///< How long they have been idle, together.
    std::optional<std::size_t> running{};  ///< Those whose stall counts; none: all that run.
};

/// When a joining batch is worth its prefill. Made by `join_rule`, asked by `scheduler_state`.
struct join_terms {
    join_terms() = default;  ///< Any batch, at any time.
    /// \param least smallest batch; none: any size.
    join_terms(std::size_t least) : min_size(least) {}                 // NOLINT: a plain number
    join_terms(std::optional<std::size_t> least) : min_size(least) {}  // NOLINT: as one
    join_terms(std::nullopt_t) {}                                      // NOLINT: nor this

    std::optional<std::size_t> min_size;
    /// Set: those who wait must have waited longer, all together, than others lose by the prefill.
    struct weighing {
        std::size_t running = 0;             ///< Requests that a prefill stalls.
        steady_clock::duration stall{};      ///< What each loses by one more prefill.
        steady_clock::duration next_step{};  ///< Until the next chance.
        float ttft_weight = 1.0F;
    };
    std::optional<weighing> weigh;

    /// Whether those who wait may join now.
    bool allow(const waiting_now& who) const;
};

/// An average that forgets: the last samples count most.
class moving_average {
public:
    void add(steady_clock::duration sample);
    steady_clock::duration value() const { return value_; }

private:
    steady_clock::duration value_{};
    bool is_empty_ = true;
};

/// The part of a prefill's time that does not grow with its tokens, by a regression over the last
/// prefills. This part is what is saved when two joins become one.
class prefill_cost {
public:
    void add(std::uint64_t tokens, steady_clock::duration took);

    /// 0 before the first sample. Never above the mean time.
    steady_clock::duration fixed() const;

private:
    // Weighted sums over samples, in tokens and seconds.
    double weight_ = 0;
    double x_ = 0;
    double y_ = 0;
    double xx_ = 0;
    double xy_ = 0;
};

/// When waiting requests may join the running batch (contract 12.3 C). Pure.
///
/// With a ratio: LoRAX's rule, asked once and not again after the batch was formed. Without: they
/// join once the time they have waited together, times `ttft_weight`, exceeds what the prefill
/// costs the others. A prefill stalls all that run, and behind them those who wait for a slot.
class join_rule {
public:
    explicit join_rule(join_settings s) : settings_(s) {}

    /// \param running requests in the running batch.
    join_terms terms(std::size_t running) const;

    /// Newcomers have waited for `max_waiting_tokens` steps.
    bool is_overdue() const { return steps_ >= settings_.max_waiting_tokens; }

    void decoded(steady_clock::duration took);
    void prefilled(std::uint64_t tokens, steady_clock::duration took);
    void joined() { steps_ = 0; }

private:
    join_settings settings_;
    std::size_t steps_ = 0;  // decodes since the last join
    moving_average decode_;
    prefill_cost prefill_;
};

}  // namespace truffula::scheduler
