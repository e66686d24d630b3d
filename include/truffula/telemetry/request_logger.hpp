#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace truffula::telemetry {

/// A successful generation, for those who collect them (contract section 2).
struct logged_request {
    std::uint64_t tokens = 0;  ///< Of prompt and answer.
    std::string adapter_id;    ///< Ids joined by comma; empty: the base model.
    std::string input;
    std::string output;
    std::string api_token;
    std::string model_id;
};

/// The body that is posted.
std::string request_log_body(const logged_request& what);

struct request_logger_settings {
    std::string url;
    std::size_t queue = 32;                       ///< Bodies that may wait.
    unsigned retries = 3;                         ///< After the first attempt.
    std::chrono::milliseconds first_pause{1000};  ///< Before a retry; doubles each time.
    std::chrono::milliseconds call_timeout{10'000};
};

/// What becomes of bodies, for metrics. Called from any thread.
struct request_logger_events {
    std::function<void()> sent;
    std::function<void()> failed;   ///< Given up after the last attempt.
    std::function<void()> dropped;  ///< The queue was full, or the router stopped.
};

/// Posts bodies to a URL, one after the other, on a thread of its own. An answer that is neither
/// 2xx nor worth another attempt (408, 429, 5xx, no answer) is given up at once.
///
/// \threads any.
class request_logger {
public:
    request_logger(request_logger_settings settings, request_logger_events events);
    request_logger(const request_logger&) = delete;
    request_logger& operator=(const request_logger&) = delete;
    ~request_logger();

    /// Queues a body; never waits. False: it was dropped.
    bool post(std::string body);

    /// Nothing waits or is under way.
    bool is_idle() const;

    /// Takes nothing more; what waits is dropped, a call under way is broken off.
    void stop();

private:
    struct core;
    std::unique_ptr<core> core_;
};

}  // namespace truffula::telemetry
