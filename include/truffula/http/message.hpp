#pragma once

#include "truffula/error/error.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace truffula::http {

/// A parsed request. Lives until its handler has returned and the response was written.
struct request {
    std::string method;
    std::string path;   ///< Without query.
    std::string query;  ///< After `?`; empty without one.
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;  ///< Names in lower case.
    std::chrono::steady_clock::time_point received;            ///< Head and body were complete.
    std::size_t thread = 0;                                    ///< Index of the HTTP thread.

    /// The first header of that (lower-case) name.
    std::optional<std::string_view> header(std::string_view name) const;
};

/// A stream of server-sent events. Destroying it before its end means that the client left.
class event_source {
public:
    virtual ~event_source() = default;

    /// Waits for events and appends all that are ready, framed as on the wire (`data: …\n\n`).
    /// False when the stream has ended; `out` may then still carry the last events.
    ///
    /// \cancellation terminal. Must leave the source in a state that can be destroyed or awaited.
    virtual boost::asio::awaitable<bool> next(std::string& out) = 0;
};

struct response {
    int status = 200;
    std::string content_type;  ///< Empty: no such header.
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    std::unique_ptr<event_source> events;  ///< Set: `body` is ignored, the answer is a stream.
    bool close = false;                    ///< Close the connection afterwards.
};

/// Answers one request. Runs on the connection's thread and must not block it.
///
/// \cancellation terminal, when the client leaves; what it awaits must survive that.
using handler = std::function<boost::asio::awaitable<response>(std::shared_ptr<const request>)>;

}  // namespace truffula::http
