#pragma once

#include "truffula/error/error.hpp"
#include "truffula/shard/shard_group.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace truffula::shard {

/// One connection to one shard: unary calls, bytes in, bytes out (design section 9).
///
/// \threads only the executor it was made on.
class transport {
public:
    virtual ~transport() = default;

    /// Sends `request` to `generate.v1.LoraxService/<method>`; written when the function returns,
    /// as far as the socket took it.
    ///
    /// \param timeout starts when every call sent earlier has been answered or has timed out: a
    ///        LoRAX shard serves one call at a time.
    /// \errors of `get()`: `errc::rpc_failed` with the shard's words, `errc::connection`,
    ///         `errc::deadline_exceeded`, `errc::protocol`, `errc::cancelled`.
    virtual std::unique_ptr<direct_call<std::string>> start(
        std::string_view method,
        std::string_view request,
        std::chrono::steady_clock::duration timeout) = 0;

    /// Takes what has arrived, without waiting for it: calls may be answered inside. The caller
    /// keeps the transport until it returns.
    virtual void poll() = 0;
};

struct transport_options {
    std::size_t max_message_bytes = 64U << 20U;       ///< Of a request or an answer.
    std::chrono::milliseconds ping_interval{30'000};  ///< Silence before a ping; two at most.
};

/// Connects to `unix:///path` or `tcp://host:port` with gRPC's unary calls over HTTP/2.
///
/// \errors `errc::connection` if nobody answers, `errc::invalid_config` for another address.
boost::asio::awaitable<result<std::unique_ptr<transport>>> connect(
    std::string address, transport_options options = {});

}  // namespace truffula::shard
