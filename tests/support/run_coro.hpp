#pragma once

#include "truffula/error/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include <chrono>
#include <exception>
#include <optional>
#include <utility>

namespace truffula::test {

/// Runs `body` to its end on one thread. Rethrows what it throws (REQUIRE throws too), and
/// fails, rather than hangs, when it is still suspended after `limit`.
template <class Body>
void run_coro(Body body, std::chrono::seconds limit = std::chrono::seconds{5}) {
    boost::asio::io_context ctx;
    std::optional<std::exception_ptr> outcome;
    boost::asio::co_spawn(ctx, std::move(body), [&](std::exception_ptr e) {
        outcome = e;
        ctx.stop();  // actors that still wait for commands would keep it running
    });
    ctx.run_for(limit);
    REQUIRE(outcome.has_value());
    if (*outcome) std::rethrow_exception(*outcome);
}

}  // namespace truffula::test

// result<T> has an unconstrained operator<<, which breaks REQUIRE(r) for a T without one.
template <class T>
struct Catch::StringMaker<truffula::result<T>> {
    static std::string convert(const truffula::result<T>& r) {
        return r ? "value" : "error: " + r.error().code.message() + ": " + r.error().detail;
    }
};
