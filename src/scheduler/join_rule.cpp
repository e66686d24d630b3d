#include "truffula/scheduler/join_rule.hpp"

#include <algorithm>
#include <utility>

namespace truffula::scheduler {
namespace {

constexpr double memory = 0.9;  // of a sum, per sample

/// Who waits for a slot holds up those who will come while the queue lasts: so many count for it.
constexpr double behind_each = 4;
/// An idle slot counts so much more than its part of a stall of all: its adapter's own requests
/// are the next to run.
constexpr double idle_weight = 1.5;

double seconds(steady_clock::duration d) {
    return std::chrono::duration<double>(d).count();
}

steady_clock::duration from_seconds(double s) {
    return std::chrono::duration_cast<steady_clock::duration>(std::chrono::duration<double>(s));
}

/// What those who wait for a slot lose by idle ones, until after the next step: as much as by a
/// stall of all slots that lasts so long, in seconds.
double idle_part(const waiting_now& who, steady_clock::duration next_step) {
    if (who.slots == 0) return 0;
    const auto idle =
        seconds(who.slots_idle) + static_cast<double>(who.idle_slots) * seconds(next_step);
    return idle / static_cast<double>(who.slots);
}

}  // namespace

bool join_terms::allow(const waiting_now& who) const {
    if (who.count == 0) return false;
    if (min_size && who.count < *min_size) return false;
    if (!weigh) return true;
    // If they do not join now they wait for a step more: that counts already.
    const auto waited =
        seconds(who.waited) + static_cast<double>(who.count) * seconds(weigh->next_step);
    // A stall delays those who wait for a slot, too: their wait is for a first token.
    const auto weight = static_cast<double>(weigh->ttft_weight);
    const auto behind = weight * behind_each * static_cast<double>(who.blocked);
    const auto delayed = static_cast<double>(who.running.value_or(weigh->running)) + behind;
    const auto lost = behind * idle_part(who, weigh->next_step);
    return waited * weight + lost * idle_weight >= delayed * seconds(weigh->stall);
}

void moving_average::add(steady_clock::duration sample) {
    const auto old = std::exchange(is_empty_, false) ? seconds(sample) : seconds(value_);
    value_ = from_seconds(old * memory + seconds(sample) * (1 - memory));
}

void prefill_cost::add(std::uint64_t tokens, steady_clock::duration took) {
    const auto x = static_cast<double>(tokens);
    const auto y = seconds(took);
    const auto keep = [](double& sum, double sample) { sum = sum * memory + sample; };
    keep(weight_, 1);
    keep(x_, x);
    keep(y_, y);
    keep(xx_, x * x);
    keep(xy_, x * y);
}

steady_clock::duration prefill_cost::fixed() const {
    if (weight_ == 0) return {};
    const auto mean_x = x_ / weight_;
    const auto mean_y = y_ / weight_;
    const auto spread = xx_ / weight_ - mean_x * mean_x;
    // Prompts all of one length tell nothing of the slope: all of the time is taken as fixed.
    if (spread <= 1e-6 * mean_x * mean_x) return from_seconds(mean_y);
    const auto slope = std::max(0.0, (xy_ / weight_ - mean_x * mean_y) / spread);
    return from_seconds(std::clamp(mean_y - slope * mean_x, 0.0, mean_y));
}

join_terms join_rule::terms(std::size_t running) const {
    if (is_overdue()) return {};
    if (settings_.waiting_served_ratio) {
        const auto least = static_cast<float>(running) * *settings_.waiting_served_ratio;
        return std::optional{static_cast<std::size_t>(least)};
    }
    join_terms terms;
    terms.weigh = {running, prefill_.fixed(), decode_.value(), settings_.ttft_weight};
    return terms;
}

void join_rule::decoded(steady_clock::duration took) {
    ++steps_;
    decode_.add(took);
}

void join_rule::prefilled(std::uint64_t tokens, steady_clock::duration took) {
    prefill_.add(tokens, took);
}

}  // namespace truffula::scheduler
