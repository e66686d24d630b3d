#include "batching/answer_forecast.hpp"

#include <algorithm>

namespace truffula::batching {
namespace {

constexpr std::size_t ignored = 1;  // of the shortest, and as many of the longest
constexpr int shortest_step = 20;   // in windows

}  // namespace

void answer_forecast::answered(duration took) {
    last_[count_++ % remembered] = took;
}

std::optional<answer_forecast::window> answer_forecast::next() const {
    if (busy_poll_ == duration::zero() || count_ < remembered) return std::nullopt;
    auto sorted = last_;
    std::ranges::sort(sorted);
    const auto usual = sorted[remembered / 2];
    const auto spread = sorted[remembered - 1 - ignored] - sorted[ignored];
    if (spread > busy_poll_ || usual < shortest_step * busy_poll_) return std::nullopt;
    return window{usual - busy_poll_ * 3 / 4, usual + busy_poll_ / 4};
}

std::optional<answer_forecast::window> answer_forecast::next_filter() const {
    if (filter_took_ >= busy_poll_ || count_ == 0) return std::nullopt;
    if (last_[(count_ - 1) % remembered] < shortest_step * busy_poll_) return std::nullopt;
    return window{duration::zero(), busy_poll_};
}

}  // namespace truffula::batching
