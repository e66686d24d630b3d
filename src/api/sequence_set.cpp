#include "api/sequence_set.hpp"

#include "truffula/actor/spawn.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

namespace truffula::api {

namespace asio = boost::asio;

namespace {

constexpr auto tuple_awaitable = asio::as_tuple(asio::use_awaitable);
constexpr auto never = asio::steady_timer::time_point::max();

// Where a pump leaves one step and waits until it was taken: what piles up does so in the stream,
// which has a bound for it.
struct lane {
    explicit lane(const asio::any_io_executor& executor) : taken(executor, never) {}

    std::optional<result<std::optional<inference::step>>> waiting;
    asio::steady_timer taken;
    asio::cancellation_signal stop;
    bool must_go_on = false;  // its step was taken, the pump waits to be told
};

}  // namespace

struct sequence_set::core {
    core(asio::any_io_executor e, streams s) : executor(e), all(std::move(s)), arrived(e, never) {}

    asio::any_io_executor executor;
    streams all;
    std::vector<std::unique_ptr<lane>> lanes;  // none for one sequence: it needs no pump
    asio::steady_timer arrived;
};

sequence_set::sequence_set(asio::any_io_executor executor, streams all)
    : core_(std::make_shared<core>(std::move(executor), std::move(all))) {
    const auto count = core_->all.size();
    if (count == 1) return;
    for (std::size_t i = 0; i < count; ++i) {
        core_->lanes.push_back(std::make_unique<lane>(core_->executor));
    }
    for (std::size_t i = 0; i < count; ++i) {
        auto slot = core_->lanes[i]->stop.slot();
        asio::co_spawn(
            core_->executor, pump(core_, i), asio::bind_cancellation_slot(slot, rethrow));
    }
}

sequence_set::~sequence_set() {
    if (!core_) return;
    for (const auto& l : core_->lanes) l->stop.emit(asio::cancellation_type::terminal);
}

sequence_set::sequence_set(sequence_set&&) noexcept = default;

sequence_set& sequence_set::operator=(sequence_set&& other) noexcept {
    std::swap(core_, other.core_);
    return *this;
}

asio::awaitable<void> sequence_set::pump(std::shared_ptr<core> self, std::size_t sequence) {
    auto& lane = *self->lanes[sequence];
    for (bool is_over = false; !is_over;) {
        auto got = co_await self->all[sequence]->next();
        is_over = !got || !*got || (*got)->finished;
        lane.waiting.emplace(std::move(got));
        self->arrived.cancel();
        if (is_over) co_return;
        while (!std::exchange(lane.must_go_on, false)) {
            (void)co_await lane.taken.async_wait(tuple_awaitable);
            const auto state = co_await asio::this_coro::cancellation_state;
            if (state.cancelled() != asio::cancellation_type::none) co_return;
        }
    }
}

asio::awaitable<sequence_set::arrival> sequence_set::next() {
    const auto self = core_;
    if (self->lanes.empty()) {
        auto got = co_await self->all.front()->next();
        arrival one{0, std::move(got)};
        co_return one;
    }
    for (const auto& l : self->lanes) {  // those whose step was taken before may go on
        if (!l->must_go_on) continue;
        l->taken.cancel();
    }
    for (;;) {
        for (std::size_t i = 0; i < self->lanes.size(); ++i) {
            auto& l = *self->lanes[i];
            if (!l.waiting) continue;
            arrival one{i, std::move(*l.waiting)};
            l.waiting.reset();
            l.must_go_on = true;
            co_return one;
        }
        (void)co_await self->arrived.async_wait(tuple_awaitable);
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) {
            arrival none{0, error{errc::cancelled, "the client left"}};
            co_return none;
        }
    }
}

std::optional<inference::step> sequence_set::poll(std::size_t sequence) {
    return core_->all[sequence]->poll();
}

const inference::timeline& sequence_set::times(std::size_t sequence) const {
    return core_->all[sequence]->times();
}

std::size_t sequence_set::size() const noexcept {
    return core_->all.size();
}

}  // namespace truffula::api
