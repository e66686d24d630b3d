#include "truffula/adapter/worth.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace truffula::adapter {
namespace {

double seconds(worth::duration d) {
    return std::chrono::duration<double>(d).count();
}

// What is not measured, or too quick to measure, costs a millisecond.
constexpr worth::duration least_load_time = std::chrono::milliseconds{1};

}  // namespace

void worth::used(time_point now) {
    const auto use = seconds(now.time_since_epoch()) / seconds(half_life);
    if (!std::exchange(is_used_, true)) {
        uses_ = use;
        return;
    }
    // log2(2^a + 2^b) without leaving the range of a double.
    const auto [less, more] = std::minmax(uses_, use);
    uses_ = more + std::log2(1 + std::exp2(less - more));
}

void worth::loaded(duration took) {
    load_time_ = load_time_.count() == 0 ? took : (load_time_ * 3 + took) / 4;
}

double worth::rank(std::uint32_t memory) const {
    const auto load = std::log2(seconds(std::max(load_time_, least_load_time)));
    return uses_ + load - std::log2(static_cast<double>(std::max(memory, 1U)));
}

}  // namespace truffula::adapter
