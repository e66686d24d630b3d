#include "simulator/timeline.hpp"

#include <algorithm>

namespace truffula::simulator {

void timeline::note(duration now, std::size_t waiting, std::size_t running) {
    if (now > last_) add(now);
    waiting_ = waiting;
    running_ = running;
}

/// Spreads the counts in force over the bins that `last_` … `to` touches.
void timeline::add(duration to) {
    while (to >= width_ * most_bins) halve();
    while (last_ < to) {
        const auto index = static_cast<std::size_t>(last_ / width_);
        const auto end = std::min<duration>(to, width_ * (index + 1));
        if (index >= bins_.size()) bins_.resize(index + 1);
        auto& b = bins_[index];
        const auto length = static_cast<double>((end - last_).count());
        b.waiting += length * static_cast<double>(waiting_);
        b.running += length * static_cast<double>(running_);
        b.most_waiting = std::max(b.most_waiting, waiting_);
        b.most_running = std::max(b.most_running, running_);
        last_ = end;
    }
}

void timeline::halve() {
    width_ *= 2;
    for (std::size_t i = 0; i < bins_.size(); ++i) {
        auto& to = bins_[i / 2];
        if (i % 2 == 0) {
            to = bins_[i];
            continue;
        }
        to.waiting += bins_[i].waiting;
        to.running += bins_[i].running;
        to.most_waiting = std::max(to.most_waiting, bins_[i].most_waiting);
        to.most_running = std::max(to.most_running, bins_[i].most_running);
    }
    bins_.resize((bins_.size() + 1) / 2);
}

std::vector<timeline::bin> timeline::bins() const {
    std::vector<bin> means;
    for (std::size_t i = 0; i < bins_.size(); ++i) {
        const auto begin = width_ * i;
        const auto length =
            static_cast<double>((std::min<duration>(last_, begin + width_) - begin).count());
        const auto& b = bins_[i];
        means.push_back({b.waiting / length, b.running / length, b.most_waiting, b.most_running});
    }
    return means;
}

}  // namespace truffula::simulator
