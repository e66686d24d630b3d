#pragma once

#include "truffula/error/error.hpp"
#include "truffula/http/outbound_rules.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

namespace truffula::http {

/// Fetches what clients name by URL, where rules allow it: http and https, no redirects, no
/// credentials, no proxy. A thread of its own does all transfers at once, so that nobody waits for
/// a slow host but who asked for it. \threads any.
class fetcher {
public:
    explicit fetcher(outbound_rules rules);
    fetcher(const fetcher&) = delete;
    fetcher& operator=(const fetcher&) = delete;
    /// Stops.
    ~fetcher();

    /// The body of `url`.
    ///
    /// \param max_bytes of the body.
    /// \param deadline for all, from looking up the name to the last byte.
    /// \errors `errc::validation` with what is wrong, of rules, transfer or status;
    /// `errc::cancelled`; `errc::stopped`. \cancellation terminal: the transfer is broken off.
    boost::asio::awaitable<result<std::string>> get(
        std::string url, std::size_t max_bytes, std::chrono::steady_clock::time_point deadline);

    /// Breaks off what is under way: `errc::stopped`. Call it before the executors of those who
    /// wait end. Idempotent.
    void stop();

private:
    struct core;
    std::unique_ptr<core> core_;
};

}  // namespace truffula::http
