#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>

namespace truffula::batching {

/// When to poll for the answer to a Decode, by the ones before: the steps of a batch take about as
/// long as each other; and for that to a FilterBatch between two of them, which shards may give at
/// once. Pure.
///
/// A thread that sleeps is woken late, by some tens of microseconds, and the shards stand still
/// meanwhile. So the thread is to be awake when the answer is due, but only then.
class answer_forecast {
public:
    using duration = std::chrono::steady_clock::duration;

    /// After a call was sent: poll from the one until the other.
    struct window {
        duration from;
        duration until;
    };

    /// \param busy_poll the length of a window; 0: no windows.
    explicit answer_forecast(duration busy_poll) : busy_poll_(busy_poll) {}

    /// \param took from sending the Decode to its answer.
    void answered(duration took);

    /// Three quarters of the window lie before the usual time: the timer that begins it wakes a
    /// thread, too. None: before enough answers came, when the last ones came at times that differ
    /// by more than a window (a few apart), or when the window were more than 1/20 of the step.
    std::optional<window> next() const;

    /// \param took from sending the FilterBatch to its answer.
    void filtered(duration took) { filter_took_ = took; }

    /// The same for a FilterBatch. None: when the last one took a window or longer, or when the
    /// window were more than 1/20 of the last step.
    std::optional<window> next_filter() const;

private:
    static constexpr std::size_t remembered = 7;

    duration busy_poll_;
    std::array<duration, remembered> last_{};  // a ring
    std::size_t count_ = 0;
    duration filter_took_{0};  // of the last one
};

}  // namespace truffula::batching
