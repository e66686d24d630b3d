#pragma once

#include "truffula/actor/oneshot.hpp"
#include "truffula/error/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

namespace truffula::api {

/// Bodies above this are parsed by workers (bytes).
inline constexpr std::size_t inline_parse_bytes = std::size_t{16} * 1024;

/// Prompts above this are encoded by workers (bytes). Encoding takes about 0.3 µs a byte, a hop to
/// another thread and back some 20 µs; what holds an HTTP thread up is a long prompt, not the
/// sum of short ones.
inline constexpr std::size_t inline_encode_bytes = 512;

/// Threads for CPU work that would hold up an HTTP thread (`validation_workers`).
class workers {
public:
    explicit workers(std::size_t threads)
        : pool_(std::in_place, std::max<std::size_t>(threads, 1)) {}
    workers(const workers&) = delete;
    workers& operator=(const workers&) = delete;
    ~workers() { stop(); }

    /// Drops work that has not begun, waits for what has. What is asked for later is dropped, too.
    /// \threads when no other thread calls `run` any more, and before the executors of those who
    /// did go: their answers stand there.
    void stop() {
        if (!pool_) return;
        pool_->stop();
        pool_->join();
        pool_.reset();
    }

    /// Calls `work()`, which gives a `result<T>`, on a worker; completes on the caller's executor.
    /// `work` must own all it needs: it may run after its caller has gone.
    ///
    /// \errors its own; `errc::cancelled`; `errc::stopped` when the workers end first.
    /// \cancellation terminal. Work that has not begun is then skipped.
    template <class Work>
    boost::asio::awaitable<decltype(std::declval<Work&>()())> run(Work work) {
        using value = typename decltype(work())::value_type;
        const auto executor = co_await boost::asio::this_coro::executor;
        auto [answer, waiting] = make_oneshot<value>(executor);
        start(std::move(work), std::move(answer));
        co_return co_await waiting.get();
    }

private:
    template <class Work, class T>
    void start(Work work, reply<T> answer) {
        if (!pool_) return;
        boost::asio::post(*pool_, [w = std::move(work), a = std::move(answer)]() mutable {
            if (!a.abandoned()) a.send(w());
        });
    }

    std::optional<boost::asio::thread_pool> pool_;
};

}  // namespace truffula::api
